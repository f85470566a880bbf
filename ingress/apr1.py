"""Passwords as Apache's own `$apr1$` has them, `htpasswd`'s default: crypt(3), and so the proxy, does not know it.

The proxy checks them by a program in its Lua. A password that was right is remembered by its digest, as each check
takes a thousand rounds of MD5.
"""

from __future__ import annotations

PROGRAM, MAP = "apr1.lua", "apr1.map"
PREFIX = "$apr1$"

LUA = """\
-- `lua.apr1(LIST)`: whether the request has name and password of a user whose hash is in the map at "LIST/NAME".
local hashes = Map.new("{folder}/{map}", Map._str)
local digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
local known, count, most = {{}}, 0, 1000

-- Source: Apache's apr_md5.c.
local function hash_of(password, salt, md5)
  local block = md5(password .. salt .. password)
  local text = password .. "{prefix}" .. salt
  for left = #password, 1, -16 do
    text = text .. block:sub(1, math.min(16, left))
  end
  local bits = #password
  while bits > 0 do
    text = text .. (bits & 1 == 1 and "\\0" or password:sub(1, 1))
    bits = bits >> 1
  end
  block = md5(text)
  for round = 0, 999 do
    local odd = round & 1 == 1
    text = odd and password or block
    if round % 3 ~= 0 then text = text .. salt end
    if round % 7 ~= 0 then text = text .. password end
    block = md5(text .. (odd and block or password))
  end
  local shown = ""
  local function show(number, length)
    for _ = 1, length do
      shown = shown .. digits:sub((number & 63) + 1, (number & 63) + 1)
      number = number >> 6
    end
  end
  local b = {{block:byte(1, 16)}}
  for first = 1, 5 do
    show(b[first] << 16 | b[first + 6] << 8 | b[first == 5 and 6 or first + 12], 4)
  end
  show(b[12], 2)
  return "{prefix}" .. salt .. "$" .. shown
end

core.register_fetches("apr1", function(txn, list)
  local function md5(text) return txn.c:digest(text, "md5") end
  local encoded = (txn.f:req_hdr("authorization") or ""):match("^[Bb][Aa][Ss][Ii][Cc] +(%S+)$")
  local name, password = (encoded and txn.c:b64dec(encoded) or ""):match("^([^:]*):(.*)$")
  local hash = name and hashes:lookup(list .. "/" .. name)
  local salt = hash and hash:match("^%$apr1%$([^$]+)%$")
  if not salt then return false end
  local key = md5(hash .. "\\0" .. password)
  if known[key] then return true end
  if hash_of(password, salt, md5) ~= hash then return false end
  if count == most then known, count = {{}}, 0 end
  known[key], count = true, count + 1
  return true
end)
"""


def program(folder: str) -> str:
    """Returns the program's text; `folder` is that of the map."""
    return LUA.format(folder=folder, map=MAP, prefix=PREFIX)
