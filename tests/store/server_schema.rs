//! The schema on servers.
