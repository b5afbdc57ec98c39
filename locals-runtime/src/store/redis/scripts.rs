//! The Lua scripts: what Redis does in one step.
//!
//! Each script uses one key, so it runs in any cluster. None runs for a request that only reads its
//! session.
//!
//! A script is sent whole each time. Redis recognizes one that it has seen by its SHA-1, and a
//! restart cannot make it forget a script that a command relies on.
//!
//! The scripts need Redis 6.0: what they write is replicated by its effects.

/// Reads the value of the session `KEYS[1]` into a local variable for each of its parts: see
/// [`write`](super::record::write). `data` begins with the line break before it. All of them are
/// `nil` if there is no session, or if it cannot be read; `value` is false if there is none.
macro_rules! read_session {
    () => {
        "
local value = redis.call('GET', KEYS[1])
local active, idle, renewed, revision, hash, authenticated, rotation, constant, data = string.match(
    value or '',
    '^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%S+) (%-?%d+) (%S+) ([^\\n]*)(.*)$')"
    };
}

/// A script that changes a value if a condition holds. It returns 1 if it did, 0 if the condition
/// does not hold or there is no value, and -1 if the value cannot be read.
///
/// `$read` sets `value` and `revision`; `$change` writes the new value.
macro_rules! change_if {
    ($condition:literal, $read:expr, $($change:expr),+) => {
        concat!(
            $read,
            "
if not value then return 0 end
if not revision then return -1 end
if not (",
            $condition,
            ") then return 0 end",
            $($change,)+
            "
return 1"
        )
    };
}

/// A script that changes a session if a condition holds: it assigns new values to the variables of
/// [`read_session`].
macro_rules! change_session_if {
    ($condition:literal, $assignments:literal) => {
        change_if!(
            $condition,
            read_session!(),
            $assignments,
            "
local parts = {active, idle, renewed, revision, hash, authenticated, rotation, constant}
redis.call('SET', KEYS[1], table.concat(parts, ' ') .. data, 'KEEPTTL')"
        )
    };
}

/// Sets `now` to the time of this server, in milliseconds.
macro_rules! read_time {
    () => {
        "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)"
    };
}

/// Lets the key `KEYS[1]` live for `stay` milliseconds at least.
macro_rules! extend_expiry {
    () => {
        "
if redis.call('PTTL', KEYS[1]) < stay then
    redis.call('PEXPIRE', KEYS[1], stay)
end
return 1"
    };
}

/// Adds a session to the index of its user, or extends its stay there.
///
/// The index is a sorted set. A score is the time, on the clock of this server, until which the
/// session may exist. Entries whose time has passed are removed as well. An entry without a session
/// cannot be removed earlier: its session may be about to be created.
///
/// `KEYS[1]` the index; `ARGV[1]` the session; `ARGV[2]` for how many milliseconds.
pub(super) const ADD_TO_INDEX: &str = concat!(
    read_time!(),
    "
local stay = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) < now + stay then
    redis.call('ZADD', KEYS[1], now + stay, ARGV[1])
end",
    extend_expiry!()
);

/// Renews a session, if the end of its active period is still the one to replace and its token is
/// the one that was presented. Its time to live changes by as much as its idle timeout.
///
/// `KEYS[1]` the session; `ARGV[1]` the end to replace; `ARGV[2]` and `ARGV[3]` the new ends of
/// the active and the idle period; `ARGV[4]` the time of the renewal; `ARGV[5]` and `ARGV[6]` the
/// minimum and the maximum time to live; `ARGV[7]` the hash of the token.
pub(super) const RENEW: &str = change_session_if!(
    "active == ARGV[1] and hash == ARGV[7]",
    "
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
    left = left + tonumber(ARGV[3]) - tonumber(idle)
    left = math.max(tonumber(ARGV[5]), math.min(left, tonumber(ARGV[6])))
    redis.call('PEXPIRE', KEYS[1], left)
end
active, idle, renewed = ARGV[2], ARGV[3], ARGV[4]"
);

/// Gives a session a new token, if it still has the one to replace.
///
/// `KEYS[1]` the session; `ARGV[1]` the hash to replace; `ARGV[2]` hash, time and rotation, and
/// after a dot the digest of the credential. Without a digest the session keeps the one that it has.
pub(super) const CHANGE_TOKEN: &str = change_session_if!(
    "hash == ARGV[1]",
    "
local credential = string.match(rotation, '%..*$') or ''
hash, authenticated, rotation = string.match(ARGV[2], '^(%S+) (%S+) (%S+)$')
if not string.find(rotation, '.', 1, true) then
    rotation = rotation .. credential
end"
);

/// Replaces the data of a session, if they still have the revision to replace.
///
/// `KEYS[1]` the session; `ARGV[1]` the revision to replace; `ARGV[2]` the new one; `ARGV[3]` the
/// data.
pub(super) const WRITE_DATA: &str = change_session_if!(
    "revision == ARGV[1]",
    "
revision, data = ARGV[2], '\\n' .. ARGV[3]"
);

/// Replaces the data of a guest and the time when it expires, if the data still have the revision to
/// replace.
///
/// `KEYS[1]` the guest; `ARGV[1]` the revision to replace; `ARGV[2]` the new one; `ARGV[3]` when it
/// expires; `ARGV[4]` the data; `ARGV[5]` the time to live.
pub(super) const WRITE_GUEST: &str = change_if!(
    "revision == ARGV[1]",
    "
local value = redis.call('GET', KEYS[1])
local revision, hash = string.match(value or '', '^(%-?%d+) %-?%d+ (%S+) ')",
    "
value = table.concat({ARGV[2], ARGV[3], hash, ARGV[4]}, ' ')
redis.call('SET', KEYS[1], value, 'PX', ARGV[5])"
);

/// Adds a guest to the index of all guests, and lets the index live as long as the guest may.
///
/// The index is a sorted set. A score is the time when a guest expires, on the clock of the app.
///
/// `KEYS[1]` the index; `ARGV[1]` the guest; `ARGV[2]` when it expires; `ARGV[3]` for how many
/// milliseconds; `ARGV[4]` `NX` for a new guest, whose id may be another's, and `CH` for one that
/// has been written.
pub(super) const ADD_GUEST_TO_INDEX: &str = concat!(
    "
local stay = tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[2], ARGV[1])",
    extend_expiry!()
);

/// Returns how many guests of the index expire after a time, and removes those that expired long
/// before it. A guest that the clock of this server does not take for expired is never removed: the
/// clock of the app may be ahead.
///
/// `KEYS[1]` the index; `ARGV[1]` the time; `ARGV[2]` for how many milliseconds expired guests stay.
pub(super) const COUNT_GUESTS: &str = concat!(
    read_time!(),
    "
local long_expired = math.min(now, tonumber(ARGV[1])) - tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', long_expired)
return redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[1], '+inf')"
);

/// Returns the value of a session without its data.
///
/// `KEYS[1]` the session.
pub(super) const GET_WITHOUT_DATA: &str = "
local value = redis.call('GET', KEYS[1])
return value and string.match(value, '^[^\\n]*')";

/// Deletes a session; returns the value that it had.
///
/// `KEYS[1]` the session.
pub(super) const DELETE: &str = "
local value = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return value";

/// Deletes a session if its data have the revision that was read; returns the value that it had, or
/// nothing if they have another or there is no session.
///
/// `KEYS[1]` the session; `ARGV[1]` the revision.
pub(super) const DELETE_IF_UNCHANGED: &str = concat!(
    read_session!(),
    "
if revision ~= ARGV[1] then return false end
redis.call('DEL', KEYS[1])
return value"
);

/// Deletes a session unless it is another user's; returns 1, 0 if there is none, and -1 if it is
/// another's.
///
/// A session that cannot be read is deleted: the index of this user named it, and it opens nothing.
///
/// `KEYS[1]` the session; `ARGV[1]` the user.
pub(super) const DELETE_OF_USER: &str = concat!(
    read_session!(),
    "
if not value then return 0 end
local is_read, session = pcall(cjson.decode, constant)
local user = is_read and type(session) == 'table' and session.user
if type(user) == 'string' and user ~= ARGV[1] then
    return -1
end
return redis.call('DEL', KEYS[1])"
);

/// Deletes a session or a guest that has expired; returns whether it did.
///
/// `KEYS[1]` the session or guest; `ARGV[1]` the time.
pub(super) const DELETE_IF_EXPIRED: &str = "
local value = redis.call('GET', KEYS[1])
local expires_at = value and string.match(value, '^%-?%d+ (%-?%d+) ')
if expires_at and tonumber(expires_at) <= tonumber(ARGV[1]) then
    return redis.call('DEL', KEYS[1])
end
return 0";

/// Deletes a session by a write that is replicated even if there is none: `WAIT` needs one to wait
/// for, and deleting a missing key is none.
///
/// `KEYS[1]` the session.
pub(super) const WRITE_AND_DELETE: &str = "
redis.call('SET', KEYS[1], '')
return redis.call('DEL', KEYS[1])";
