//! The app, served in this process or in one of its own that can be killed.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use actix_web::{App, HttpServer, dev::Server};

use crate::app::{open, plain_cookie, routes};

/// A server of the app at this address, and where it listens; it serves once it is awaited.
pub async fn bind(
    database: &str,
    address: SocketAddr,
) -> Result<(Server, SocketAddr), Box<dyn Error>> {
    let auth = open(database).await?.cookie(plain_cookie()).build()?;
    let app = move || App::new().configure(auth.configure()).configure(routes);
    let server = HttpServer::new(app).workers(2).disable_signals().bind(address)?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

/// Serves the app, and says on the standard output where, until the standard input ends: with
/// whoever started this process.
pub async fn serve_until_orphaned(
    database: &str,
    address: SocketAddr,
) -> Result<(), Box<dyn Error>> {
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let (server, address) = bind(database, address).await?;
    println!("{address}");
    Ok(server.await?)
}

/// The app as a process of its own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts this package's program at `program` as a server. Port 0 is one that is free.
    ///
    /// # Errors
    /// If it does not start; it has said why on the standard error.
    pub fn start(program: &Path, database: &str, address: SocketAddr) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", database, &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().parse().map_err(|_| io::Error::other("the app did not start"))?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it immediately, without a clean shutdown.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
