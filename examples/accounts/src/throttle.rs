//! Rate limits for password attempts.

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

    /// Counts an attempt. `Err` is the number of seconds to wait. Sessions are not affected.
    pub fn count(&self, locals: &Locals, email: &str) -> Result<(), u64> {
        // Limits the memory: keys without recent attempts are forgotten.
        if self.by_account.len() + self.by_address.len() > 10_000 {
            self.by_account.retain_recent();
            self.by_address.retain_recent();
        }
        let wait = |it: NotUntil<_>| it.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
        self.by_address.check_key(&locals.client_address().map(network)).map_err(wait)?;
        self.by_account.check_key(&email.to_owned()).map_err(wait)
    }
}

/// All IPv6 addresses of a /64 network count as one: a client can usually use any of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)), // clears the lower half
    }
}
