//! How often somebody may try a password.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, NotUntil, Quota,
    clock::{Clock, DefaultClock},
};
use locals::Locals;

/// From so many keys on, those who have not tried for long are forgotten.
const MANY: usize = 10_000;

pub struct Throttle {
    by_account: DefaultKeyedRateLimiter<String>,
    by_address: DefaultKeyedRateLimiter<Option<IpAddr>>,
}

impl Throttle {
    pub fn new() -> Self {
        let quota = |burst: u32, period| {
            let burst = burst.try_into().expect("more than none");
            Quota::with_period(period).expect("longer than nothing").allow_burst(burst)
        };
        Self {
            by_account: DefaultKeyedRateLimiter::keyed(quota(10, Duration::from_secs(30))),
            by_address: DefaultKeyedRateLimiter::keyed(quota(30, Duration::from_secs(6))),
        }
    }

    /// Counts a try; `Err` says how long to wait for the next one. Whoever is signed in stays so.
    pub fn count(&self, locals: &Locals, email: &str) -> Result<(), Duration> {
        if self.by_account.len() + self.by_address.len() > MANY {
            self.by_account.retain_recent();
            self.by_address.retain_recent();
        }
        let wait = |until: NotUntil<_>| until.wait_time_from(DefaultClock::default().now());
        self.by_address.check_key(&locals.client_address().map(network)).map_err(wait)?;
        self.by_account.check_key(&email.to_owned()).map_err(wait)
    }
}

/// Who has one address of IPv6 has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
