//! The examples of one file, as the programs that a user runs: started, spoken to over HTTP, ended.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod custom_store;
#[cfg(feature = "postgres")]
mod postgres;
mod quickstart;
#[cfg(feature = "redis")]
mod redis;
mod testing;
mod two_user_types;
mod websocket;
mod with_tests;

#[cfg(feature = "postgres")]
#[path = "../store/servers.rs"]
mod servers;

use std::{net::SocketAddr, process::Command};

use programs::{Program, Visitor, examples_binary};
use tempfile::TempDir;

/// A running example, which has a directory for its files. All of it ends with this value.
struct Example {
    name: &'static str,
    settings: Vec<(&'static str, String)>,
    arguments: &'static [&'static str],
    place: TempDir,
    running: Option<(Program, SocketAddr)>,
}

impl Example {
    /// Starts it as it is.
    fn start(name: &'static str) -> Self {
        Self::with(name, &[], &[])
    }

    /// Starts it with these variables of the environment, and these arguments.
    fn with(
        name: &'static str,
        settings: &[(&'static str, String)],
        arguments: &'static [&'static str],
    ) -> Self {
        let (place, settings) = (TempDir::new().unwrap(), settings.to_vec());
        let mut example = Self { name, settings, arguments, place, running: None };
        example.start_again();
        example
    }

    /// Kills it, if it runs, and starts it beside what it has left.
    fn start_again(&mut self) {
        self.running = None;
        let command = |address: SocketAddr| {
            let mut command = Command::new(examples_binary(self.name));
            command.args(self.arguments).envs(self.settings.iter().cloned());
            command.env("TMPDIR", self.place.path()).env("ADDR", address.to_string());
            command
        };
        self.running = Some(Program::listening(command, &self.place.path().join("log")));
    }

    /// Somebody new, without cookies.
    fn visitor(&self) -> Visitor {
        Visitor::new(self.running.as_ref().unwrap().1)
    }
}

/// Sends this form and is redirected to that page.
#[track_caller]
fn is_sent_to(visitor: &mut Visitor, page: &str, path: &str, form: &[(&str, &str)]) {
    let answer = visitor.post(path, form);
    assert_eq!((answer.status, answer.location()), (303, Some(page)), "{answer:?}");
}
