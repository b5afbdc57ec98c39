//! Behaviour over HTTP, through real Actix services. Each test's name is what it shows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod record;
mod support;

mod accounts;
mod bearer;
mod before_request;
mod clocks;
mod concurrency;
mod configuration;
mod cookies;
mod cross_origin;
mod devices;
mod errors_inside;
mod events;
mod faults;
mod guard;
mod guard_options;
mod guarded_scope;
mod guest_limits;
mod guests;
mod handlers;
mod impersonation;
mod interleavings;
mod lasting;
mod late_bodies;
mod leaks;
mod log_in;
mod max_sessions;
mod orders;
mod reading;
mod recipes;
mod renewal;
mod rotation;
mod routes;
mod scopes;
mod secrecy;
mod server_api;
mod session_data;
mod too_late;
mod transaction;
mod user_gone;
mod verbs;
mod verbs_of_impersonation;
mod writing;
