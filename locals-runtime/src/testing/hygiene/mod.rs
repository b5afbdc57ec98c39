//! Whether an app handles its sessions as it should: tried from outside, over requests.
//!
//! `examination` and `next` send requests, `judge` and `destination` decide about what came.

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
