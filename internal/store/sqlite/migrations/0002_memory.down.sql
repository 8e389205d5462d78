DROP TABLE notes;
DROP TABLE event_documents;
DROP TABLE documents;
