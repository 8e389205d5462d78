DROP TABLE pulse;
DROP TRIGGER events_counted;
DROP TABLE counts;
DROP TABLE attempts;
DROP TABLE deliveries;
DROP TABLE bodies;
DROP TABLE arrivals;
DROP TABLE events;
