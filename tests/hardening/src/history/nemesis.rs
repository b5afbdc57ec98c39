//! What goes wrong meanwhile: one thing after the other, with some peace in between.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use fastrand::Rng;
use tokio::{task::spawn_blocking, time::sleep};

use super::{Fault, clients::Shared};
use crate::{
    proxy::{Proxy, Way},
    server::Process,
};

/// What can go wrong.
#[derive(Debug, Clone, Copy)]
enum Plan {
    /// A node is killed and started again.
    Kill(usize),
    /// All connections to the database are cut.
    Cut,
    /// The connection is cut that carries a certain byte.
    CutMidway(Way),
    /// The database does not answer for so many milliseconds.
    Stall(u64, u64),
    /// The database cannot be reached.
    Down,
}

/// Each is done once before any is done again. The timeout of a store is 2 s.
const PLANS: [Plan; 8] = [
    Plan::Kill(0),
    Plan::Kill(1),
    Plan::Cut,
    Plan::CutMidway(Way::ToServer),
    Plan::CutMidway(Way::FromServer),
    Plan::Stall(200, 1_500),
    Plan::Stall(2_200, 3_500),
    Plan::Down,
];

impl Plan {
    fn name(self) -> &'static str {
        match self {
            Self::Kill(0) => "kill -9 of the first node",
            Self::Kill(_) => "kill -9 of the second node",
            Self::Cut => "all connections cut",
            Self::CutMidway(Way::ToServer) => "a statement cut midway",
            Self::CutMidway(Way::FromServer) => "an answer cut midway",
            Self::Stall(_, ..2_000) => "a stall below 2 s",
            Self::Stall(..) => "a stall above 2 s",
            Self::Down => "database out of reach",
        }
    }
}

/// How often something goes wrong at least: on a slow machine a run takes longer, instead of
/// showing less.
const MIN_FAULTS: usize = 3;

/// Whoever does it.
pub struct Nemesis {
    program: PathBuf,
    database: String,
    proxy: Proxy,
    nodes: Vec<Process>,
    random: Rng,
}

impl Nemesis {
    /// Starts two nodes of the app on a database behind a proxy.
    pub async fn new(program: &Path, database: &str, random: Rng) -> Result<Self, Box<dyn Error>> {
        let (front, rest) = database.split_once('@').ok_or("an address with a user")?;
        let (server, name) = rest.split_once('/').ok_or("an address with a database")?;
        let proxy = Proxy::to(server.to_owned()).await;
        let database = format!("{front}@{}/{name}", proxy.address());
        let mut new =
            Self { program: program.to_owned(), database, proxy, nodes: Vec::new(), random };
        for _ in 0..2 {
            let node = new.start("127.0.0.1:0".parse()?).await?;
            new.nodes.push(node);
        }
        Ok(new)
    }

    pub fn nodes(&self) -> [std::net::SocketAddr; 2] {
        [self.nodes[0].address(), self.nodes[1].address()]
    }

    /// Starts a node. The proxy is in this process, so it must not wait for it.
    async fn start(&self, address: std::net::SocketAddr) -> io::Result<Process> {
        let (program, database) = (self.program.clone(), self.database.clone());
        spawn_blocking(move || Process::start(&program, &database, address)).await?
    }

    /// Breaks things until this time, but enough.
    pub async fn rage(&mut self, shared: &Rc<Shared>, until: Duration) -> io::Result<Vec<Fault>> {
        let mut plans = Vec::new();
        let mut faults = Vec::new();
        loop {
            // Now and then long enough to see that all is well again.
            let peace = if self.random.u8(..8) == 0 { 3_000..4_000 } else { 100..700 };
            sleep(Duration::from_millis(self.random.u64(peace))).await;
            if faults.len() >= MIN_FAULTS && shared.clock.elapsed() > until {
                return Ok(faults);
            }
            if plans.is_empty() {
                plans.extend(PLANS);
                self.random.shuffle(&mut plans);
            }
            let Some(plan) = plans.pop() else { continue };
            let start = shared.clock.elapsed();
            self.perform(plan).await?;
            faults.push(Fault { kind: plan.name(), start, end: shared.clock.elapsed() });
        }
    }

    async fn perform(&mut self, plan: Plan) -> io::Result<()> {
        match plan {
            Plan::Kill(node) => {
                let address = self.nodes[node].address();
                self.nodes[node].kill()?;
                self.wait(0..500).await;
                self.nodes[node] = self.start(address).await?;
            }
            Plan::Cut => self.proxy.cut(),
            Plan::CutMidway(way) => {
                self.proxy.cut_after(way, self.random.usize(..4_000));
                self.wait(100..500).await;
                self.proxy.call_off();
            }
            Plan::Stall(least, most) => {
                self.proxy.stall(true);
                self.wait(least..most).await;
                self.proxy.stall(false);
            }
            Plan::Down => {
                self.proxy.go_down().await;
                self.wait(100..1_500).await;
                self.proxy.come_back().await;
            }
        }
        Ok(())
    }

    async fn wait(&mut self, milliseconds: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.u64(milliseconds))).await;
    }
}
