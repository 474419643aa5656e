-- What the application reads, and the table that its results go back to. PostgreSQL and MySQL.
CREATE TABLE listings (
  id bigint NOT NULL,
  name varchar(255) NOT NULL,
  host_id bigint NOT NULL,
  host_name varchar(100),
  neighbourhood varchar(100) NOT NULL,
  latitude double precision NOT NULL,
  longitude double precision NOT NULL,
  room_type varchar(40) NOT NULL,
  price decimal(10, 2),
  minimum_nights integer NOT NULL,
  number_of_reviews integer NOT NULL,
  last_review date,
  download_date date NOT NULL,
  PRIMARY KEY (download_date, id)
);
CREATE TABLE listings_movers (
  month date NOT NULL,
  direction varchar(10) NOT NULL,
  place integer NOT NULL,
  listing_id bigint,
  name varchar(255),
  neighbourhood varchar(100),
  first_date date,
  first_price decimal(10, 2),
  last_date date,
  last_price decimal(10, 2),
  change_per_day double precision,
  PRIMARY KEY (month, direction, place)
);
