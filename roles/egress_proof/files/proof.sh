#!/bin/sh
# Prepares a host for the proof, and undoes it:
#   proof.sh plant OWN           plant recipients on this host; OWN is its address
#   proof.sh lead OWN ADDRESS    lead this host to the recipients of the host at ADDRESS
#   proof.sh open | close        take the guard's rules away here; put them back
#   proof.sh undo
# What each step does ends with a unit of systemd, which ends by itself, too: a run that dies leaves nothing behind.
set -eu
here=$(dirname "$0")
units=greenroom-proof

# hold STEP SECONDS COMMAND...: start the unit of a step.
hold() {
    step=$1 seconds=$2
    shift 2
    systemctl stop "$units-$step" 2>/dev/null || true
    systemd-run --quiet --collect --unit="$units-$step" --property=RuntimeMaxSec="$seconds" \
        --property=ExecStopPost="-/bin/sh $here/proof.sh end-$step" "$@"
}

# Rules have their step as a comment, by which they are removed one by one. So the table's counts stay.
rule() {
    nft insert rule inet greenroom "$@" comment "\"proof: $step\""
}

remove_rules() {
    for chain in output forward egress_output egress_prerouting; do
        nft --handle list chain inet greenroom "$chain" 2>/dev/null |
            sed -n "s/.*comment \"proof: $1\" # handle //p" |
            while read -r handle; do
                nft delete rule inet greenroom "$chain" handle "$handle"
            done
    done
}

wait_until() {
    for _ in $(seq 100); do
        if "$@"; then return; fi
        sleep 0.1
    done
    echo "not within 10 s: $*" >&2
    exit 1
}

own_network() {
    [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# ipv6 add|delete [OWN]: an IPv6 address for the card that has the address OWN, as hosts may have none of their own. They
# may also have no IPv6.
ipv6() {
    own=${2:-$(cat "$here/own")}
    echo "$own" >"$here/own"
    card=$(ip -brief -4 address | grep -F " $own/" | cut -d' ' -f1 | cut -d@ -f1)
    ip -6 address "$1" "fdc6:c866:1::$own/64" dev "$card" nodad 2>/dev/null || true
}

forwarding() {
    sysctl --values net.ipv4.ip_forward net.ipv6.conf.all.forwarding 2>/dev/null
}

case "$1" in
plant)
    forwarding >"$here/forwarding" || true
    rm -f "$here/arrived"
    hold recipient 900 unshare --net python3 "$here/recipient.py" "$here/arrived"
    process=$(systemctl show --property=MainPID --value "$units-recipient")
    wait_until own_network "$process"
    ip link add greenroom-net type veth peer name planted netns "$process"
    ip address add 198.19.200.1/24 dev greenroom-net
    ip -6 address add fdc6:c866::1/64 dev greenroom-net nodad 2>/dev/null || true
    ip link set greenroom-net up
    # This host lets packets of the other hosts through, so that their own rules decide.
    sysctl --quiet --write net.ipv4.ip_forward=1
    sysctl --quiet --write net.ipv6.conf.all.forwarding=1 2>/dev/null || true
    rule forward iifname != '"podman*"' oifname greenroom-net accept
    rule forward iifname greenroom-net accept
    ipv6 add "$2"
    wait_until [ -e "$here/arrived" ]
    ;;
lead)
    hold route 900 sleep infinity
    ip route replace 198.19.200.0/24 via "$3"
    ipv6 add "$2"
    ip -6 route replace fdc6:c866::/64 via "fdc6:c866:1::$3" 2>/dev/null || true
    ;;
open)
    hold open 120 sleep infinity
    rule egress_output return
    rule egress_prerouting return
    rule output accept
    rule forward iifname '"podman*"' accept
    ;;
close) systemctl stop "$units-open" ;;
undo)
    for step in open route recipient; do
        systemctl stop "$units-$step" 2>/dev/null || true
    done
    rm -rf "$here"
    ;;
end-recipient)
    remove_rules recipient
    ip link delete greenroom-net 2>/dev/null || true
    ipv6 delete
    { read -r four; read -r six || six=; } <"$here/forwarding"
    sysctl --quiet --write "net.ipv4.ip_forward=$four"
    [ -z "$six" ] || sysctl --quiet --write "net.ipv6.conf.all.forwarding=$six"
    ;;
end-route)
    ip route delete 198.19.200.0/24
    ip -6 route delete fdc6:c866::/64 2>/dev/null || true
    ipv6 delete
    ;;
end-open) remove_rules open ;;
esac
