-- The tables of policies.yaml.

CREATE TABLE stock (
  sku TEXT PRIMARY KEY,
  on_hand INTEGER NOT NULL DEFAULT 0,
  tags TEXT,
  lowest_price REAL,
  lat REAL,
  lon REAL
);

CREATE TABLE articles (
  id INTEGER PRIMARY KEY,
  body TEXT,
  settings TEXT,
  authors TEXT
);

CREATE TABLE carts (
  id INTEGER PRIMARY KEY,
  items TEXT
);

CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  email TEXT UNIQUE
);

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  user_id INTEGER REFERENCES users (id),
  total INTEGER
);

CREATE TABLE auctions (
  id INTEGER PRIMARY KEY,
  bid INTEGER,
  bidder TEXT
);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  what TEXT
);
