#!/bin/sh
# Checks rendered files with the programs that read them, in a container that has them: programs.sh RENDERED
# Prints a line "== <environment>/<host> <file>: <program's exit code>" after the program's output.
set -u
ssh-keygen -q -A
# keepalived needs its interface, but this container has no network.
ip link add eth0 type bridge
mkdir -p /run/sshd /etc/haproxy/slots /etc/haproxy/maps
touch /etc/haproxy/maps/live.map
# OpenBao is no package of Debian's: systemd only wants a program there.
ln -s /bin/true /usr/local/bin/bao

check() {
    file=$1
    shift
    "$@" 2>&1
    echo "== $host $file: $?"
}

for folder in "$1"/*/*/; do
    host=$(basename "$(dirname "$folder")")/$(basename "$folder")
    cp -a "$folder/." /
    (cd "$folder" && find . -type f | sed 's/^\.//' | sort) >/tmp/files
    while read -r file; do
        case $file in
        /etc/haproxy/haproxy.cfg) check "$file" haproxy -c -C /etc/haproxy -f haproxy.cfg -f slots ;;
        /etc/greenroom/egress.cfg) check "$file" haproxy -c -L guard -f "$file" ;;
        /etc/greenroom/egress-dns.conf) check "$file" dnsmasq --test --conf-file="$file" ;;
        /etc/keepalived/keepalived.conf) check "$file" keepalived -t -f "$file" ;;
        /etc/prometheus/prometheus.yml) check "$file" promtool check config "$file" ;;
        /etc/prometheus/rules/*) check "$file" promtool test rules "/alerts/$(basename "$file")" ;;
        /etc/prometheus/alertmanager.yml) check "$file" amtool check-config "$file" ;;
        /etc/prometheus/blackbox.yml) check "$file" prometheus-blackbox-exporter --config.check --config.file="$file" ;;
        /etc/nftables.conf) check "$file" nft -c -f "$file" ;;
        /etc/sudoers.d/*) check "$file" visudo -cf "$file" ;;
        /etc/ssh/sshd_config.d/*) check "$file" sshd -t ;;
        /etc/chrony/chrony.conf) check "$file" chronyd -p -f "$file" ;;
        /etc/sysusers.d/*) check "$file" systemd-sysusers "$file" ;;
        /etc/tmpfiles.d/*) check "$file" systemd-tmpfiles --create --dry-run "$file" ;;
        /etc/default/*) check "$file" sh -n "$file" ;;
        /etc/systemd/system/*.d/*.conf) check "$file" systemd-analyze verify --man=no "$(basename "$(dirname "$file")" .d)" ;;
        /etc/systemd/system/* | /run/systemd/system/*) check "$file" systemd-analyze verify --man=no "$file" ;;
        /etc/containers/systemd/*) check "$file" env QUADLET_UNIT_DIRS=/etc/containers/systemd /usr/libexec/podman/quadlet -dryrun ;;
        /usr/local/lib/greenroom/*.py) check "$file" python3 -c "import ast, sys; ast.parse(open(sys.argv[1]).read())" "$file" ;;
        /usr/local/lib/greenroom/* | /usr/local/sbin/greenroom-*)
            case $(head -n 1 "$file") in
            *python3*) check "$file" python3 -c "import ast, sys; ast.parse(open(sys.argv[1]).read())" "$file" ;;
            *) check "$file" sh -n "$file" ;;
            esac
            ;;
        esac
    done </tmp/files
    # The next host may not have these files.
    rm -f /etc/containers/systemd/*.*
done
