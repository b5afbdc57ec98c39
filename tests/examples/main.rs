//! The single-file examples, each started as a program and tested over HTTP.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

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

/// A running example with a directory for its files. It is stopped when this value is dropped.
struct Example {
    name: &'static str,
    settings: Vec<(&'static str, String)>,
    arguments: &'static [&'static str],
    place: TempDir,
    running: Option<(Program, SocketAddr)>,
}

impl Example {
    /// Starts it without settings or arguments.
    fn start(name: &'static str) -> Self {
        Self::with(name, &[], &[])
    }

    /// Starts it with these environment variables and arguments.
    fn with(
        name: &'static str,
        settings: &[(&'static str, String)],
        arguments: &'static [&'static str],
    ) -> Self {
        let (place, settings) = (TempDir::new().unwrap(), settings.to_vec());
        let mut example = Self { name, settings, arguments, place, running: None };
        example.restart();
        example
    }

    /// Kills it if it runs, and starts it again in the same directory.
    fn restart(&mut self) {
        self.running = None;
        let command = |address: SocketAddr| {
            let mut command = Command::new(examples_binary(self.name));
            command.args(self.arguments).envs(self.settings.iter().cloned());
            command.env("TMPDIR", self.place.path()).env("ADDR", address.to_string());
            command
        };
        self.running = Some(Program::listening(command, &self.place.path().join("log")));
    }

    /// A new client, without cookies.
    fn visitor(&self) -> Visitor {
        Visitor::new(self.running.as_ref().unwrap().1)
    }
}

/// Submits this form and expects a redirect to that page.
#[track_caller]
fn submit(visitor: &mut Visitor, page: &str, path: &str, form: &[(&str, &str)]) {
    let answer = visitor.post(path, form);
    assert_eq!((answer.status, answer.location()), (303, Some(page)), "{answer:?}");
}
