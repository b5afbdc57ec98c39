//! The configuration of the session cookie.

use crate::{
    http::cookie::scopes::{domain_fault, path_fault},
    model::error::ConfigError,
};

/// Whether a browser sends the cookie with requests that start on other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// Never, not even when the user follows a link to the app.
    Strict,
    /// Only when the user follows a link or types the address.
    Lax,
    /// Always. For apps that are embedded in frames of other sites. Browsers require `Secure` with
    /// it.
    None,
}

/// The name and attributes of the session cookie.
///
/// The default is `__Host-session`, with `HttpOnly; Secure; SameSite=Lax; Path=/`: scripts cannot
/// read it, browsers do not send it over plain HTTP, and sibling domains cannot set it (RFC 6265bis
/// §4.1.3.2; OWASP ASVS 5.0 §3.3). If settings contradict each other, so that browsers would
/// silently drop the cookie, [`AuthBuilder::build`](crate::AuthBuilder::build) returns an error.
///
/// If a later version of the app changes the domain, path or partition, browsers treat the result
/// as another cookie. `locals::guide::log_in` explains what happens to the old one.
///
/// ```
/// use locals::CookieConfig;
///
/// // A cookie for all of example.com. `__Host-` allows no domain, so it needs another name.
/// let cookie = CookieConfig::default().name("__Secure-session").domain("example.com");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    pub(super) name: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) path: String,
    pub(super) same_site: SameSite,
    pub(super) secure: bool,
    pub(super) partitioned: bool,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: None,
            domain: None,
            path: "/".to_owned(),
            same_site: SameSite::Lax,
            secure: true,
            partitioned: false,
        }
    }
}

impl CookieConfig {
    /// Sets the name. `__Host-session` by default, or `session` without `Secure`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sends the cookie to all hosts under this domain. None by default.
    ///
    /// It is a host name of two labels or more, in ASCII (`xn--..` for others), without scheme,
    /// port or `*`; a leading dot is ignored. It must be this host or a parent domain, and not a
    /// public suffix such as `co.uk`, which browsers refuse.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sends the cookie only under this path, written as in the URLs of browsers. `/` by default.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets `SameSite`. [`SameSite::Lax`] by default.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets `Secure`. `secure(false)` is for development: browsers then send the cookie over plain
    /// HTTP, and the default name has no prefix, since the prefix requires `Secure`.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets `Partitioned` (CHIPS): the browser keeps a separate cookie for each site that embeds
    /// the app. Off by default.
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    pub(super) fn checked(mut self) -> Result<(String, Self), ConfigError> {
        // As browsers read it (RFC 6265bis §5.6.3).
        self.domain = self
            .domain
            .map(|domain| domain.strip_prefix('.').unwrap_or(&domain).to_ascii_lowercase());
        let name = match &self.name {
            Some(name) => name.clone(),
            None if self.secure => "__Host-session".to_owned(),
            None => "session".to_owned(),
        };
        if let Some(reason) = self.contradiction(&name) {
            return Err(ConfigError(format!("CookieConfig for `{name}`: {reason}")));
        }
        Ok((name, self))
    }

    fn contradiction(&self, name: &str) -> Option<&'static str> {
        // Browsers compare the prefixes case-insensitively (RFC 6265bis §5.7).
        let prefixed = |prefix: &str| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let host = prefixed("__Host-");
        // Browsers count the bytes of name and value (RFC 6265bis §5.6). The name of the guest
        // cookie must fit too.
        let is_too_long = name.len() + "-guest".len() + 64 > 4096;
        if name.is_empty() || !name.bytes().all(is_token_char) {
            Some("a name consists of letters, digits and !#$%&'*+-.^_`|~")
        } else if is_too_long {
            Some("browsers refuse a cookie whose name and value have more than 4096 bytes")
        } else if let Some(fault) = path_fault(&self.path) {
            Some(fault)
        } else if let Some(fault) = self.domain.as_deref().and_then(domain_fault) {
            Some(fault)
        } else if (host || prefixed("__Secure-") || prefixed("__Http-")) && !self.secure {
            Some("this prefix requires `secure(true)`; without it use a name without a prefix")
        } else if host && self.domain.is_some() {
            Some("`__Host-` does not allow a domain; use a name such as `__Secure-session`")
        } else if host && self.path != "/" {
            Some("`__Host-` requires the path `/`; use a name such as `__Secure-session`")
        } else if self.same_site == SameSite::None && !self.secure {
            Some("`SameSite::None` requires `secure(true)`")
        } else if self.partitioned && !self.secure {
            Some("`partitioned(true)` requires `secure(true)`")
        } else {
            None
        }
    }
}

/// RFC 9110 §5.6.2, `tchar`.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
