//! How much memory a process has, over time.

use std::{
    fmt, fs, io,
    time::{Duration, Instant},
};

use tokio::time::sleep;

/// How often it is looked at.
const SAMPLES: u32 = 300;

/// How many parts in a thousand there may be more at the end than in the warm part.
const TOLERANCE: i64 = 50;

/// The memory of a process that is resident, in KiB.
#[derive(Debug)]
pub struct Memory {
    /// What is usual once it is warm: from a tenth of the time to a fifth.
    pub warm: u64,
    /// What is usual at the end: in the last tenth.
    pub end: u64,
    /// The most there ever was.
    pub most: u64,
    /// What was usual in each tenth of the time.
    pub course: Vec<u64>,
}

impl Memory {
    /// Watches a process for this time.
    pub async fn watch(id: u32, time: Duration) -> io::Result<Self> {
        let start = Instant::now();
        let mut seen = Vec::new();
        while start.elapsed() < time {
            sleep(time / SAMPLES).await;
            seen.push(resident(id)?);
        }
        Ok(Self::of(&seen))
    }

    fn of(seen: &[u64]) -> Self {
        let tenth = seen.len() / 10;
        Self {
            warm: usual(&seen[tenth..2 * tenth]),
            end: usual(&seen[seen.len() - tenth..]),
            most: seen.iter().copied().max().unwrap_or_default(),
            course: seen.chunks(tenth.max(1)).map(usual).collect(),
        }
    }

    /// How many parts of a thousand there are more at the end.
    pub fn change(&self) -> i64 {
        let (warm, end) = (self.warm.max(1).cast_signed(), self.end.cast_signed());
        (end - warm) * 1_000 / warm
    }

    /// Whether there is more at the end than chance explains. Less is what a process gives back.
    pub fn grows(&self) -> bool {
        self.change() > TOLERANCE
    }
}

/// The median.
fn usual(seen: &[u64]) -> u64 {
    let mut sorted = seen.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn resident(id: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.ok_or_else(|| io::Error::other("the process has ended"))
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { warm, end, most, course } = self;
        let change = self.change();
        let sign = if change < 0 { '-' } else { '+' };
        let (percent, rest) = (change.unsigned_abs() / 10, change.unsigned_abs() % 10);
        let course: Vec<_> = course.iter().map(u64::to_string).collect();
        write!(
            f,
            "{warm} KiB warm, {end} KiB at the end ({sign}{percent}.{rest} %), {most} at most; by \
             tenths: {}",
            course.join(" ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_after_the_warm_up_counts_and_growth_before_does_not() {
        let grows: Vec<_> = (0..100).map(|look| 1_000 + look).collect();
        let memory = Memory::of(&grows);
        assert_eq!((memory.warm, memory.end, memory.most), (1_015, 1_095, 1_099));
        assert_eq!((memory.change(), memory.grows()), (78, true));
        let warms: Vec<_> = (0..100).map(|look: u64| 100 * look.min(10)).collect();
        let memory = Memory::of(&warms);
        assert_eq!((memory.change(), memory.grows()), (0, false));
    }

    #[test]
    fn memory_that_is_released_is_no_growth() {
        let falls: Vec<_> = (0..100).map(|look| 1_000 - look).collect();
        let memory = Memory::of(&falls);
        assert_eq!((memory.change(), memory.grows()), (-81, false));
    }

    #[test]
    fn the_memory_of_this_process_can_be_read() {
        assert!(resident(std::process::id()).unwrap() > 100);
    }
}
