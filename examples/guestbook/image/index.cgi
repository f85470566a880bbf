#!/bin/sh
# The page of the mounted ConfigMap, with the names of the pod and its node filled in.
printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
sed -e "s/{{pod}}/$POD_NAME/" -e "s/{{node}}/$NODE_NAME/" /config/page.html
