#!/bin/sh
# Creates the application's role and database in a new PostgreSQL container. The role is not a superuser. The superuser's
# password is removed, so nobody can log in as a superuser over the network.
set -eu
psql --username "$POSTGRES_USER" --dbname postgres --quiet --set ON_ERROR_STOP=1 \
    --set password="$POSTGRES_PASSWORD" --set superuser="$POSTGRES_USER" <<'SQL'
CREATE ROLE signup LOGIN PASSWORD :'password';
CREATE DATABASE signup OWNER signup;
ALTER ROLE :"superuser" PASSWORD NULL;
SQL
