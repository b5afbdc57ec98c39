//! How often somebody may try a password.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use governor::{
    DefaultKeyedRateLimiter, NotUntil, Quota,
    clock::{Clock, DefaultClock},
};
use locals::Locals;

const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();
const THIRTY: NonZeroU32 = NonZeroU32::new(30).unwrap();

pub struct Throttle {
    by_account: DefaultKeyedRateLimiter<String>,
    by_address: DefaultKeyedRateLimiter<Option<IpAddr>>,
}

impl Throttle {
    pub fn new() -> Self {
        Self {
            by_account: DefaultKeyedRateLimiter::keyed(Quota::per_hour(THIRTY).allow_burst(TEN)),
            by_address: DefaultKeyedRateLimiter::keyed(Quota::per_minute(TEN).allow_burst(THIRTY)),
        }
    }

    /// Counts a try; `Err` says how many seconds to wait for the next one. Whoever is logged in stays so.
    pub fn count(&self, locals: &Locals, email: &str) -> Result<(), u64> {
        // So many that those who have not tried for long are forgotten.
        if self.by_account.len() + self.by_address.len() > 10_000 {
            self.by_account.retain_recent();
            self.by_address.retain_recent();
        }
        let wait = |it: NotUntil<_>| it.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
        self.by_address.check_key(&locals.client_address().map(network)).map_err(wait)?;
        self.by_account.check_key(&email.to_owned()).map_err(wait)
    }
}

/// Who has one address of IPv6 has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)), // the lower half is zero
    }
}
