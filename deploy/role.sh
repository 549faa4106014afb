#!/bin/sh
# Makes the role and the database of the application in a new PostgreSQL container. The role is no superuser, and the
# superuser has no password afterwards: nobody logs in as one over the network.
set -eu
psql --username "$POSTGRES_USER" --dbname postgres --quiet --set ON_ERROR_STOP=1 \
    --set password="$POSTGRES_PASSWORD" --set superuser="$POSTGRES_USER" <<'SQL'
CREATE ROLE signup LOGIN PASSWORD :'password';
CREATE DATABASE signup OWNER signup;
ALTER ROLE :"superuser" PASSWORD NULL;
SQL
