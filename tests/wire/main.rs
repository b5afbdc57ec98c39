//! A real server on a real socket, and clients that send what no library would: raw bytes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

#[path = "../http/record.rs"]
#[allow(dead_code, reason = "the tests in process use the rest")]
mod record;
#[path = "../http/routes.rs"]
#[allow(dead_code, reason = "the tests in process use the rest")]
mod routes;
#[path = "../http/support.rs"]
#[allow(dead_code, reason = "the tests in process use the rest")]
mod support;

mod anonymous;
mod app;
mod carriers;
mod cases;
mod connections;
mod cookie_header;
mod gone;
mod http2;
mod large;
mod methods;
mod origins;
mod server;
