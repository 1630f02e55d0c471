#!/bin/sh
# TLS where certificates are mounted: tls.crt (with its chain) and tls.key. Run by the image's entrypoint, after the
# templates; without the two files nginx listens in the clear only.
set -eu

certificates=${STACKLENS_CERTIFICATES:-/etc/nginx/certs}
configuration=${STACKLENS_CONF_DIR:-/tmp/nginx}

if ! [ -r "$certificates/tls.crt" ] || ! [ -r "$certificates/tls.key" ]; then
    rm -f "$configuration/tls.conf"
    echo "nginx: no tls.crt and tls.key that can be read in $certificates: no TLS"
    exit 0
fi

cat >"$configuration/tls.conf" <<CONF
server {
    listen ${STACKLENS_TLS_LISTEN:-8443} ssl;
    http2 on;
    ssl_certificate $certificates/tls.crt;
    ssl_certificate_key $certificates/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers HIGH:!aNULL:!MD5:!SHA1:!kRSA;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1d;
    ssl_session_tickets off;
    include $configuration/api.inc;
}
CONF
echo "nginx: TLS with $certificates/tls.crt"
