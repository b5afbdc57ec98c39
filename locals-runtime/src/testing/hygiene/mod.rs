//! Tests over requests whether an app handles its sessions correctly.
//!
//! `examination` and `next` send requests; `judge` and `destination` evaluate the responses.

mod app;
mod check;
mod destination;
mod examination;
mod judge;
mod next;
mod probe;
mod report;
mod sending;

pub use self::{
    app::Hygiene,
    check::{assert_hygiene, check_hygiene},
    probe::Probe,
    report::{Fault, Report, Rule},
};
