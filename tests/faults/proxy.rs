//! What stands between an app and its database, and makes it fail.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    select,
    sync::watch,
    task::JoinHandle,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    FromServer,
}

/// A proxy on loopback.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    /// Where new connections lead.
    server: Mutex<String>,
    /// Counts them.
    connections: AtomicUsize,
    /// Counts the pieces that have gone to it.
    sent: watch::Sender<u64>,
    /// Whether bytes are held back.
    stalled: watch::Sender<bool>,
    /// Counts how often all connections were cut.
    cuts: watch::Sender<u32>,
    /// How many more bytes go this way before the connection that carries them is cut.
    budget: Mutex<Option<(Way, usize)>>,
}

impl Proxy {
    /// To the server at `host:port`.
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            connections: AtomicUsize::new(0),
            sent: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            budget: Mutex::new(None),
        });
        let listener = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { address, shared, listener: Some(listener) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another server; those that there are stay where they are.
    #[allow(dead_code, reason = "not every test fails over")]
    pub fn lead_to(&self, server: String) {
        *self.shared.server.lock().unwrap() = server;
    }

    /// Sees each piece that goes to the server.
    #[allow(dead_code, reason = "not every test counts")]
    pub fn sent(&self) -> watch::Receiver<u64> {
        self.shared.sent.subscribe()
    }

    /// How many connections there have been.
    #[allow(dead_code, reason = "not every test counts")]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Closes all connections and takes no new ones, as a server that is down.
    pub async fn go_down(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
            let _ = listener.await;
        }
        self.cut();
    }

    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.listener = Some(tokio::spawn(listen(listener, Arc::clone(&self.shared))));
    }

    /// Holds all bytes back, as a server that does not answer, or lets them go on.
    pub fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }

    /// Cuts the connection that carries the byte after so many more.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        *self.shared.budget.lock().unwrap() = Some((way, bytes));
    }

    /// Whether the cut ordered last is still to come; it is called off.
    pub fn call_off(&self) -> bool {
        self.shared.budget.lock().unwrap().take().is_some()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
        }
        self.cut();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        if let Ok((client, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Relaxed);
            tokio::spawn(carry(client, Arc::clone(&shared)));
        }
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let work = async {
        let address = shared.server.lock().unwrap().clone();
        let server = TcpStream::connect(address).await?;
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        select! {
            ended = pass(from_client, to_server, &shared, Way::ToServer) => ended,
            ended = pass(from_server, to_client, &shared, Way::FromServer) => ended,
        }
    };
    select! {
        _ = work => {}
        _ = cuts.changed() => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    way: Way,
) -> io::Result<()> {
    let mut stalled = shared.stalled.subscribe();
    let mut buffer = vec![0; 16_384];
    loop {
        let read = from.read(&mut buffer).await?;
        if stalled.wait_for(|stalled| !stalled).await.is_err() || read == 0 {
            return Ok(());
        }
        let allowed = shared.spend(way, read);
        to.write_all(&buffer[..allowed]).await?;
        if way == Way::ToServer {
            shared.sent.send_modify(|sent| *sent += 1);
        }
        if allowed < read {
            return Ok(());
        }
    }
}

impl Shared {
    /// How many of these bytes may pass.
    fn spend(&self, way: Way, bytes: usize) -> usize {
        let mut budget = self.budget.lock().unwrap();
        match &mut *budget {
            Some((limited, left)) if *limited == way => {
                if *left < bytes {
                    return budget.take().map_or(0, |(_, left)| left);
                }
                *left -= bytes;
                bytes
            }
            _ => bytes,
        }
    }
}
