//! Random histories of an app, on each store, beside a model of what must come of them.
//!
//! A script of commands is done over HTTP by a real app, and by plain lists that are written after
//! the documentation. After each command both must agree: the answer and its cookie, what every
//! token that was ever issued opens, the list of each user's sessions, and the number of rows. What
//! the tokens open is asked of an app on a store that lets nothing be written, so that asking renews
//! nothing.
//!
//! `PROPTEST_CASES` sets how many scripts there are. A failure is told as the shortest script that
//! still fails, and its seed is kept in `regressions.txt`, where all stores try it first.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod app;
mod command;
mod places;
mod rules;
#[cfg(any(feature = "postgres", feature = "mysql"))]
#[path = "../store/servers.rs"]
mod servers;
mod spectator;
mod terms;
mod world;

use std::fmt::Debug;

use actix_web::rt::System;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner};

use crate::{
    command::{Script, USERS},
    places::{Apart, Memory, Place, Sql},
    rules::Model,
    world::World,
};

const START: i64 = 1_800_000_000_000;

/// As many scripts as `PROPTEST_CASES` says, or a part of that for stores that take longer.
fn agree_on<P: Place>(part: u32) {
    let all = Config::default();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/regressions.txt");
    let config = Config {
        cases: all.cases.div_ceil(part),
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        ..all
    };
    let system = System::new();
    let place = system.block_on(P::new());
    let run = |script| system.block_on(agree(&place, &script)).map_err(TestCaseError::fail);
    match TestRunner::new(config).run(&command::scripts(), run) {
        Ok(()) => {}
        Err(TestError::Fail(reason, script)) => panic!("{reason}\nby the script: {script:?}\n"),
        Err(error) => panic!("{error}"),
    }
}

/// Does all commands of a script, and compares after each.
async fn agree<P: Place>(place: &P, script: &Script) -> Result<(), String> {
    place.clear().await;
    let mut model = Model::new(script.rotates, P::USERS_ARE_APART, START);
    let mut world = World::new(place, script.rotates, START).await;
    for (number, command) in (1..).zip(&script.commands) {
        let seen = world.act(command, &model).await;
        let expected = model.apply(command);
        world.set_clock(model.now());
        let at = |what: &str| format!("command {number}, {command:?}: {what}");
        same(&at("the answer"), &seen, &expected)?;
        for token in 0..model.tokens() {
            let about = format!("what token {token} of session {} opens", model.session_of(token));
            same(&at(&about), &world.me(token).await, &model.me(token))?;
        }
        for user in 1..=USERS {
            let about = format!("the sessions of user {user}");
            same(&at(&about), &world.listed(user).await, &model.listed(user))?;
        }
        same(&at("the number of rows"), &world.rows().await, &model.rows())?;
    }
    Ok(())
}

fn same<T: PartialEq + Debug>(what: &str, seen: &T, expected: &T) -> Result<(), String> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}\n    seen: {seen:?}\nexpected: {expected:?}"))
}

#[test]
fn every_history_in_memory_follows_the_documented_rules() {
    agree_on::<Memory>(1);
}

#[test]
fn every_history_with_a_user_loader_follows_the_documented_rules() {
    agree_on::<Apart>(1);
}

#[test]
fn every_history_on_sqlite_follows_the_documented_rules() {
    agree_on::<Sql<sqlx::Sqlite, tempfile::TempDir>>(2);
}

#[cfg(feature = "postgres")]
#[test]
fn every_history_on_postgres_follows_the_documented_rules() {
    agree_on::<Sql<sqlx::Postgres, servers::TestDatabase<sqlx::Postgres>>>(12);
}

#[cfg(feature = "mysql")]
#[test]
fn every_history_on_mysql_follows_the_documented_rules() {
    agree_on::<Sql<sqlx::MySql, servers::TestDatabase<sqlx::MySql>>>(12);
}
