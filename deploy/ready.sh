#!/bin/sh
# Tells a container's health check whether its daemon is ready: `ready PORT` asks for /readyz by HTTPS. Starting a Python
# for that every few seconds would cost more than the daemon does.
printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
    timeout 4 openssl s_client -quiet -connect "127.0.0.1:$1" 2>/dev/null | grep -q '^HTTP/1.1 200 '
