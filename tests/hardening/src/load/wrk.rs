//! `wrk`, which reads as fast as it can and counts what is wrong.

use std::{error::Error, fs, io::ErrorKind, net::SocketAddr, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Who has a token that lives.
    Members,
    /// Who has none, or garbage.
    Strangers,
}

/// A program that runs, until it is dropped at the latest.
pub struct Wrk {
    child: Child,
    /// Where its script and the tokens are.
    directory: TempDir,
}

/// What was counted.
#[derive(Debug, Default, Clone)]
pub struct Counted {
    /// Answers that are as they must be.
    pub right: u64,
    /// Answers that are not.
    pub wrong: u64,
    /// Requests without an answer.
    pub failed: u64,
    /// The first answer that is not as it must be.
    pub first_wrong: String,
}

/// Starts it for this time.
pub fn start(
    kind: Kind,
    address: SocketAddr,
    time: Duration,
    tokens: &[String],
) -> Result<Wrk, Box<dyn Error>> {
    let directory = TempDir::new()?;
    let (script, list) = (directory.path().join("load.lua"), directory.path().join("tokens"));
    fs::write(&script, include_str!("load.lua"))?;
    fs::write(&list, tokens.join("\n"))?;
    let child = Command::new("wrk")
        .args(["--threads=1", "--connections=8", "--timeout=10s"])
        .arg(format!("--duration={}s", time.as_secs()))
        .arg("--script")
        .arg(&script)
        .arg(format!("http://{address}"))
        .arg("--")
        .arg(match kind {
            Kind::Members => "members",
            Kind::Strangers => "strangers",
        })
        .arg(&list)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => "`wrk` is not installed: its package on Debian and Ubuntu is \
                                    `wrk`, as by `apt-get install wrk`"
                .to_owned(),
            _ => format!("wrk: {error}"),
        })?;
    Ok(Wrk { child, directory })
}

impl Wrk {
    /// Waits for its end.
    pub async fn counted(self) -> Result<Counted, Box<dyn Error>> {
        let Self { child, directory } = self;
        let output = child.wait_with_output().await?;
        drop(directory);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
        let number = |name| line(name).and_then(|value| value.parse().ok());
        match (number("right="), number("wrong="), number("failed=")) {
            (Some(right), Some(wrong), Some(failed)) => {
                let first_wrong = line("first_wrong=").unwrap_or_default().to_owned();
                Ok(Counted { right, wrong, failed, first_wrong })
            }
            _ => Err(format!("wrk: {said}{}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }
}

impl Counted {
    /// What is wrong, if anything is.
    pub fn complaint(&self, who: &str) -> Option<String> {
        let Self { right, wrong, failed, first_wrong } = self;
        let is_well = *right > 0 && *wrong == 0 && *failed == 0;
        let complaint = || {
            format!("{who}: {wrong} wrong answers, {failed} failures, {right} right: {first_wrong}")
        };
        (!is_well).then(complaint)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::{io::AsyncReadExt, time::timeout};

    use super::*;

    #[actix_web::test]
    async fn a_cancelled_run_leaves_no_wrk_process() {
        let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (address, time) = (nobody.local_addr().unwrap(), Duration::from_mins(10));
        let mut wrk = start(Kind::Strangers, address, time, &[]).unwrap();
        let mut output = wrk.child.stdout.take().unwrap();
        drop(wrk);
        // A pipe ends with the last process that holds it.
        let ended = timeout(Duration::from_mins(1), output.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "wrk still runs");
    }
}
