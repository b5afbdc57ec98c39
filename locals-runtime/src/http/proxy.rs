//! The address of the client behind proxies: a pure function of (peer, headers).
//!
//! Any client can send `X-Forwarded-For` and `Forwarded`. They count only if the peer is a proxy
//! that the app trusts, and only back to the first address that it does not trust (OWASP ASVS 5.0
//! §4.1.3, §15.3.4). So both are read from the right, where the nearest proxy has added the address
//! it saw.

use std::net::IpAddr;

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use ipnet::{IpNet, Ipv4Net};

use crate::model::error::ConfigError;

/// The proxies whose information about the client is trusted. None by default.
///
/// A proxy in this list must append to `X-Forwarded-For` or overwrite it. If it writes only
/// `Forwarded`, and passes on the client's own `X-Forwarded-For`, the client can choose its
/// address.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies {
    ranges: Vec<IpNet>,
}

impl TrustedProxies {
    /// Builds the list from addresses (`127.0.0.1`, `::1`) and ranges (`10.0.0.0/8`, `fd00::/8`).
    pub(crate) fn build(entries: Vec<String>) -> Result<Self, ConfigError> {
        let ranges = entries.into_iter().map(|entry| range(&entry)).collect::<Result<_, _>>()?;
        Ok(Self { ranges })
    }

    /// Returns the address of the client. `None` if the peer has none, as on a Unix socket.
    pub(crate) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut nearest = peer?.to_canonical();
        for hop in hops(headers) {
            if !self.trusts(nearest) {
                break;
            }
            match hop {
                Some(address) => nearest = address,
                // The entries to the left of an invalid one are no more reliable than it.
                None => break,
            }
        }
        Some(nearest)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }
}

/// Returns the client that each proxy reports, the nearest proxy first; `None` if an entry has no
/// address.
fn hops(headers: &HeaderMap) -> Box<dyn Iterator<Item = Option<IpAddr>> + '_> {
    if headers.contains_key(X_FORWARDED_FOR) {
        Box::new(entries(headers, &X_FORWARDED_FOR).map(|entry| address(entry?)))
    } else {
        Box::new(entries(headers, &FORWARDED).map(|entry| address(forwarded_for(entry?)?)))
    }
}

/// Returns the entries of a list header, from the last of the last header to the first of the
/// first.
///
/// A quoted string is also split at its commas; `forwarded_for` refuses the pieces. If it were
/// parsed from the left instead, an open quotation mark of the client could swallow the entries
/// that the proxies have added.
fn entries<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    headers
        .get_all(name)
        .rev()
        .flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','))
        .map(|entry| str::from_utf8(entry).ok().map(trim))
}

/// Returns the node of the only `for=` of an element of `Forwarded` (RFC 7239 §4).
fn forwarded_for(element: &str) -> Option<&str> {
    let mut node = None;
    for pair in element.split(';').map(trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value)?;
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            return None;
        }
    }
    node
}

/// Returns a token, or the text between quotation marks. Escapes are refused, since no address
/// needs one. That also refuses every part of a quoted string that was split at a comma or
/// semicolon.
fn unquoted(value: &str) -> Option<&str> {
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inner.contains(['"', '\\'])).then_some(inner)
}

/// Parses `192.0.2.7`, `2001:db8::7` or `[2001:db8::7]`, with or without a port, which may be
/// obfuscated (RFC 7239 §6). `unknown` and `_hidden` are not addresses.
fn address(node: &str) -> Option<IpAddr> {
    let address = if let Some(rest) = node.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let has_port = port.strip_prefix(':').is_some_and(is_port);
        (port.is_empty() || has_port).then_some(IpAddr::V6(host.parse().ok()?))?
    } else if let Some((host, port)) = node.split_once(':').filter(|(host, _)| host.contains('.')) {
        is_port(port).then_some(IpAddr::V4(host.parse().ok()?))?
    } else {
        node.parse().ok()?
    };
    Some(address.to_canonical())
}

fn is_port(port: &str) -> bool {
    let is_hidden = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    port.parse::<u16>().is_ok() || port.strip_prefix('_').is_some_and(is_hidden)
}

/// Trims optional white space, which is SP and HTAB (RFC 9110 §5.6.3).
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn range(entry: &str) -> Result<IpNet, ConfigError> {
    let refuse = |reason: &str| {
        Err(ConfigError(format!(
            "`{entry}` is not an address of trusted proxies: {reason}; write an address such as \
             `127.0.0.1` or `::1`, or a range such as `10.0.0.0/8` or `fd00::/8`"
        )))
    };
    let parsed = match entry.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address.to_canonical())),
        Err(_) => entry.parse::<IpNet>(),
    };
    let Ok(range) = parsed else {
        return refuse("it is neither an IP address nor a range of addresses");
    };
    if range.trunc() != range {
        return refuse(&format!("the range that contains it is `{}`", range.trunc()));
    }
    if range.prefix_len() == 0 {
        return refuse("it contains all addresses, so that any client could choose its address");
    }
    Ok(canonical(range))
}

/// Converts a range of IPv4 addresses in IPv6 form (`::ffff:10.0.0.0/104`) to IPv4, as the
/// addresses that it is compared with are.
fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else {
        return range;
    };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(range, IpNet::V4)
}

#[cfg(test)]
mod tests;
