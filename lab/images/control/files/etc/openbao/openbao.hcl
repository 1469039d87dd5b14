# A real server and not a dev server: integrated storage, TLS, audit log, sealed after each start.
ui            = false
api_addr      = "https://vault.control.greenroom.test:8200"
cluster_addr  = "https://127.0.0.1:8201"

storage "raft" {
  path    = "/var/lib/openbao"
  node_id = "control1"

  # Elect the only server within seconds.
  performance_multiplier = 1
}

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/openbao/server.crt"
  tls_key_file  = "/etc/openbao/server.key"
}

audit "file" "to-file" {
  options {
    file_path = "/var/log/openbao/audit.log"
    mode      = "0640"
  }
}
