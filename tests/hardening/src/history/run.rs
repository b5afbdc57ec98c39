//! One run: two nodes, one database, many clients, and what goes wrong.

use std::{error::Error, path::PathBuf, rc::Rc, time::Duration};

use actix_web::rt::spawn;
use fastrand::Rng;
use tokio::time::sleep;

use super::{
    History, Report,
    clients::{Device, Shared, User},
    nemesis::Nemesis,
};
use crate::database::Database;

/// How many devices a user has.
const DEVICES: usize = 4;

/// How long before the end nothing is broken any more, so that all can recover.
const QUIET_PERIOD: Duration = Duration::from_secs(3);

/// How a run is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program of this package, for the nodes.
    pub program: PathBuf,
    /// The address of a PostgreSQL server.
    pub server: String,
    /// How long it lasts.
    pub time: Duration,
    /// How many clients there are.
    pub clients: usize,
    /// What chance begins with.
    pub seed: u64,
}

/// Runs, checks, and removes the database.
pub async fn run(settings: &Settings) -> Result<Report, Box<dyn Error>> {
    let mut random = Rng::with_seed(settings.seed);
    let database = Database::postgres(&settings.server).await?;
    let mut nemesis = Nemesis::new(&settings.program, &database.url(), random.fork()).await?;
    let shared = Rc::new(Shared::new(nemesis.nodes()));
    let users = (1..).take(settings.clients.div_ceil(DEVICES)).map(|id| Rc::new(User::new(id)));
    let users: Vec<_> = users.collect();
    let work: Vec<_> = (0..settings.clients)
        .map(|number| {
            let user = Rc::clone(&users[number % users.len()]);
            let device = Device::new(number, user, Rc::clone(&shared), random.fork());
            spawn(device.work())
        })
        .collect();

    let faults = nemesis.rage(&shared, settings.time.saturating_sub(QUIET_PERIOD)).await?;
    sleep(QUIET_PERIOD).await;
    shared.stopped.set(true);
    let mut devices = Vec::new();
    for work in work {
        devices.push(work.await?);
    }
    let last: Vec<_> = devices.into_iter().map(|device| spawn(device.look_back())).collect();
    for last in last {
        last.await?;
    }
    let rows = database.rows().await?;
    let history = History { events: shared.events.take(), faults, rows };
    Ok(Report::of(&history))
}
