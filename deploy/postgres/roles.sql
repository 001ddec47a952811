-- The roles of Parlor in the database that this is run in, by a superuser, with psql. It may be run again at any time.
--
--   psql -f roles.sql postgres://postgres@db.example.org/parlor
--
-- Where services have databases of their own, say in each which of them it is for (the keys' store is `keys`):
--
--   psql -c "SET parlor.services = 'chat'" -f roles.sql postgres://postgres@db-chat.example.org/parlor_chat
--
-- It makes
--   parlor_owner       owns the logs and the keys, and runs `parlor migrate`; no running process has its password
--   parlor_auth, parlor_user, parlor_chat, parlor_notification
--                      one for each service: reads and writes its own log, appends to it, and never changes an event; makes
--                      its own views, which can be made anew from the log; reads keys and adds them
--   parlor_reader      reads the views, for replicas and reports
-- without passwords: give each one with \password. An installation with one process for all services takes parlor_auth,
-- parlor_user, … for the stores of each, as a distributed one does, and any of them for the keys.
--
-- Then: `parlor migrate` with parlor_owner in the URLs, and this file once more, which takes the right to change events away
-- from the services. After an upgrade the same two steps again; `migrate_on_start = false` in the processes' configuration.

DO $roles$
DECLARE
  prefix text := coalesce(nullif(current_setting('parlor.prefix', true), ''), 'parlor');
  wanted text[] := string_to_array(
    coalesce(nullif(current_setting('parlor.services', true), ''), 'auth,user,chat,notification,keys'), ',');
  services constant text[] := ARRAY['auth', 'user', 'chat', 'notification'];
  owner text := prefix || '_owner';
  reader text := prefix || '_reader';
  service text;
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY[owner, reader] || (SELECT array_agg(prefix || '_' || s) FROM unnest(services) s) LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', role);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    -- The server's own limits, should a process be unable to say that it has given up.
    IF role <> owner THEN
      EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', role, '60s');
      EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', role, '60s');
    END IF;
  END LOOP;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  REVOKE CREATE ON SCHEMA public FROM PUBLIC;

  FOREACH service IN ARRAY services LOOP
    CONTINUE WHEN NOT service = ANY (wanted);
    role := prefix || '_' || service;

    -- The log: the owner's, the service reads and writes rows.
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', service || '_log', owner);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', service || '_log', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', service || '_log', role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
      owner, service || '_log', role);
    -- What was recorded stays as it was recorded, and the log what it is.
    IF to_regclass(format('%I.events', service || '_log')) IS NOT NULL THEN
      EXECUTE format('REVOKE UPDATE, DELETE ON %I.events FROM %I', service || '_log', role);
      EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %I.meta FROM %I', service || '_log', role);
      EXECUTE format('REVOKE INSERT, DELETE ON %I.head FROM %I', service || '_log', role);
    END IF;

    -- The views: the service's own, made anew whenever it wants.
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', service || '_views', role);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', service || '_views', reader);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', service || '_views', reader);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
      role, service || '_views', reader);
  END LOOP;

  IF 'keys' = ANY (wanted) THEN
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS keys AUTHORIZATION %I', owner);
    FOREACH service IN ARRAY services LOOP
      role := prefix || '_' || service;
      EXECUTE format('GRANT USAGE ON SCHEMA keys TO %I', role);
      EXECUTE format('GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA keys TO %I', role);
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA keys GRANT SELECT, INSERT ON TABLES TO %I', owner, role);
    END LOOP;
  END IF;
END
$roles$;
