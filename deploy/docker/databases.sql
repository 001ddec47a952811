-- A database for each service; `parlor` itself, which the image makes, holds the keys.
CREATE DATABASE parlor_auth;
CREATE DATABASE parlor_user;
CREATE DATABASE parlor_chat;
CREATE DATABASE parlor_notification;
