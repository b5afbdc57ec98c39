//! What must come of each command, as the documentation says it: plain lists, and no library.

use std::collections::BTreeMap;

use crate::{
    command::{Command, End, Presented, Route, State, Stay, Time, USERS},
    terms::{Answer, Cookie, HOUR, Listed, MAX_SESSIONS, MINUTE, OVERLAP, RECENT, ROTATE_EVERY},
};

#[derive(Debug)]
pub struct Model {
    rotates: bool,
    users_are_apart: bool,
    now: i64,
    /// Those who are there, and whether they are enabled.
    users: BTreeMap<i64, bool>,
    /// All that ever were.
    sessions: Vec<Session>,
    /// The session of each token that was ever issued.
    tokens: Vec<usize>,
}

#[derive(Debug)]
struct Session {
    user: i64,
    /// Whether it is stored, alive or not.
    is_kept: bool,
    token: usize,
    /// The token that this one replaced by rotation, and when.
    exchanged: Option<(usize, i64)>,
    stay: Stay,
    created: i64,
    proved: i64,
    renewed: i64,
    active: i64,
    idle: i64,
    absolute: i64,
    written: Vec<u32>,
}

impl Session {
    fn lives(&self, now: i64) -> bool {
        self.is_kept && now < self.idle && now < self.absolute
    }

    /// Both periods begin, and end with the absolute end at the latest.
    fn begin_periods(&mut self, now: i64) {
        let (active, idle) = match self.stay {
            Stay::Remembered | Stay::UntilTheBrowserCloses => (HOUR, 3 * HOUR),
            Stay::Shortly => (10 * MINUTE, 20 * MINUTE),
        };
        self.renewed = now;
        self.active = (now + active).min(self.absolute);
        self.idle = (now + active + idle).min(self.absolute);
    }

    /// Since when its token is the one.
    fn token_since(&self) -> i64 {
        self.exchanged.map_or(self.proved, |(_, at)| at)
    }
}

/// What a request carries, as far as it concerns the cookie.
#[derive(Clone, Copy, PartialEq)]
enum Carried {
    Nothing,
    /// No token, or one that was never issued.
    Nonsense,
    /// This one beside another: it opens nothing, and whoever has it may end its session.
    Beside(usize),
    Token(usize),
}

/// A session that a request opened, and the token that did.
type Opened = Option<(usize, usize)>;

impl Model {
    pub fn new(rotates: bool, users_are_apart: bool, now: i64) -> Self {
        let users = (1..=USERS).map(|user| (user, true)).collect();
        Self { rotates, users_are_apart, now, users, sessions: Vec::new(), tokens: Vec::new() }
    }

    pub fn now(&self) -> i64 {
        self.now
    }

    /// The token that was issued so many before the last one.
    pub fn token(&self, back: usize) -> Option<usize> {
        let issued = self.tokens.len();
        (issued > 0).then(|| issued - 1 - back % issued)
    }

    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    pub fn session_of(&self, token: usize) -> usize {
        self.tokens[token]
    }

    /// The app takes the password of nobody who is gone or disabled.
    pub fn may_log_in(&self, user: i64) -> bool {
        self.users.get(&user) == Some(&true)
    }

    /// What the clock shows after it was moved. It never goes back.
    pub fn after(&self, time: &Time) -> i64 {
        let later = match *time {
            Time::Millis(millis) => self.now + i64::from(millis),
            Time::Minutes(minutes) => self.now + i64::from(minutes) * MINUTE,
            Time::To(end, back, after) => {
                let Some(token) = self.token(back) else { return self.now };
                let session = &self.sessions[self.tokens[token]];
                let end = match end {
                    End::Active => session.active,
                    End::Idle => session.idle,
                    End::Absolute => session.absolute,
                    End::Recent => session.proved + RECENT,
                    End::Token => session.token_since() + ROTATE_EVERY,
                    End::Overlap => session.token_since() + OVERLAP,
                };
                end + after
            }
        };
        later.max(self.now)
    }

    /// What must be seen of a command.
    pub fn apply(&mut self, command: &Command) -> Answer {
        match command {
            Command::Request(presented, route) => {
                // Who gives a wrong password is refused before anybody looks at the session.
                let looks = !matches!(route, Route::LogIn(user, _) if !self.may_log_in(*user));
                if looks {
                    self.end_reused(self.carried(presented));
                }
                let (status, body, cookie) = self.request(self.carried(presented), route);
                return Answer::Response { status, body, cookie };
            }
            Command::Validate(presented) => {
                self.end_reused(self.carried(presented));
                let opened = self.opened(self.carried(presented));
                if let Some((session, _)) = opened {
                    self.renew_if_idle(session);
                }
                return Answer::Opens(opened.map(|(session, _)| session));
            }
            Command::EndSessionsOf(user) => return Answer::Count(self.end_all_of(*user, None)),
            Command::Sweep => {
                let now = self.now;
                return Answer::Count(self.end(|_, session| !session.lives(now)));
            }
            Command::UserBecomes(user, State::Enabled) => drop(self.users.insert(*user, true)),
            Command::UserBecomes(user, State::Disabled) => drop(self.users.insert(*user, false)),
            Command::UserBecomes(user, State::Deleted) => {
                self.users.remove(user);
                if !self.users_are_apart {
                    self.end_all_of(*user, None);
                }
            }
            Command::Advance(time) => self.now = self.after(time),
            Command::Restart => {}
        }
        Answer::Done
    }

    fn carried(&self, presented: &Presented) -> Carried {
        match *presented {
            Presented::Nothing => Carried::Nothing,
            Presented::NeverIssued | Presented::Garbage => Carried::Nonsense,
            Presented::Issued(back) => self.token(back).map_or(Carried::Nothing, Carried::Token),
            Presented::Forged(back) => {
                self.token(back).map_or(Carried::Nothing, |_| Carried::Nonsense)
            }
            Presented::Beside(back) => self.token(back).map_or(Carried::Nothing, Carried::Beside),
        }
    }

    /// The session that a request opens, and the token with which it does.
    fn opened(&self, carried: Carried) -> Opened {
        let Carried::Token(token) = carried else { return None };
        let id = self.tokens[token];
        let session = &self.sessions[id];
        let overlaps = |(before, at)| before == token && self.now < at + OVERLAP;
        let fits = session.token == token || session.exchanged.is_some_and(overlaps);
        (fits && session.lives(self.now) && self.is_found(session.user)).then_some((id, token))
    }

    /// A rotated token that is presented after the overlap ends its session.
    fn end_reused(&mut self, carried: Carried) {
        let Carried::Token(token) = carried else { return };
        let id = self.tokens[token];
        let session = &self.sessions[id];
        let is_over = |(before, at)| before == token && self.now >= at + OVERLAP;
        let is_reused = session.token != token && session.exchanged.is_some_and(is_over);
        if is_reused && session.lives(self.now) && self.is_found(session.user) {
            self.end(|session, _| session == id);
        }
    }

    /// Ends the session of a token that comes beside another; says how many that were.
    fn end_beside(&mut self, carried: Carried) -> u64 {
        let Carried::Beside(token) = carried else { return 0 };
        let opened = self.opened(Carried::Token(token));
        self.end_reused(Carried::Token(token));
        if let Some((id, _)) = opened {
            self.end(|session, _| session == id);
        }
        opened.map_or(0, |_| 1)
    }

    /// Whether a session of this user is found.
    fn is_found(&self, user: i64) -> bool {
        self.users.get(&user).is_some_and(|is_enabled| *is_enabled || !self.users_are_apart)
    }

    fn request(&mut self, carried: Carried, route: &Route) -> (u16, String, Cookie) {
        let opened = self.opened(carried);
        match *route {
            Route::Me { .. } => match opened {
                None => not_logged_in(),
                Some((id, _)) => {
                    let (status, body) = self.me_of(id);
                    (status, body, self.used(opened))
                }
            },
            Route::Home { .. } => match opened {
                None => (200, "nobody".into(), Cookie::Kept),
                Some((id, _)) => (200, self.sessions[id].user.to_string(), self.used(opened)),
            },
            Route::Seen => {
                let user = opened.map(|(id, _)| self.sessions[id].user.to_string());
                (200, user.unwrap_or_else(|| "nobody".into()), self.used(opened))
            }
            Route::Recent => match opened {
                None => not_logged_in(),
                Some((id, _)) if self.now - self.sessions[id].proved <= RECENT => {
                    (200, "recent".into(), self.used(opened))
                }
                Some(_) => (401, "Logged in too long ago".into(), self.used(opened)),
            },
            Route::Sessions => (200, self.list_for(opened), self.used(opened)),
            Route::LogIn(user, _) if !self.may_log_in(user) => not_logged_in(),
            Route::LogIn(user, stay) => {
                self.end_beside(carried);
                (200, "in".into(), self.log_in(user, stay, opened))
            }
            Route::LogOut => {
                self.end_beside(carried);
                if let Some((id, _)) = opened {
                    self.end(|session, _| session == id);
                }
                (200, "out".into(), removed(carried))
            }
            Route::LogOutEverywhere => {
                let beside = self.end_beside(carried);
                let ended = opened.map(|(id, _)| self.end_all_of(self.sessions[id].user, None));
                (200, ended.unwrap_or(beside).to_string(), removed(carried))
            }
            Route::LogOutOthers => match opened {
                None => (200, "0".into(), Cookie::Kept),
                Some((id, _)) => {
                    let ended = self.end_all_of(self.sessions[id].user, Some(id));
                    (200, ended.to_string(), self.replace_token(id))
                }
            },
            Route::Reauthenticate => match opened {
                None => not_logged_in(),
                Some((id, _)) => {
                    self.sessions[id].proved = self.now;
                    (200, "proved".into(), self.replace_token(id))
                }
            },
            Route::End(back) => self.end_one(carried, opened, self.token(back)),
            Route::EndUnknown => self.end_one(carried, opened, None),
            Route::Write(number) => match opened {
                None => not_logged_in(),
                Some((id, _)) => {
                    let written = &mut self.sessions[id].written;
                    written.push(number);
                    (200, format!("{written:?}"), self.used(opened))
                }
            },
        }
    }

    /// What `GET /me` answers to whoever has this token, and does nothing about it.
    pub fn me(&self, token: usize) -> (u16, String) {
        let opened = self.opened(Carried::Token(token));
        opened.map_or((401, NOT_LOGGED_IN.into()), |(id, _)| self.me_of(id))
    }

    fn me_of(&self, id: usize) -> (u16, String) {
        let Session { user, written, .. } = &self.sessions[id];
        if self.users[user] {
            (200, format!("{user} {written:?}"))
        } else {
            (403, "Not allowed".into())
        }
    }

    /// An idle session is renewed, and an old token is rotated. Either sets the cookie.
    fn used(&mut self, opened: Opened) -> Cookie {
        let Some((id, presented)) = opened else { return Cookie::Kept };
        let is_renewed = self.renew_if_idle(id);
        let session = &self.sessions[id];
        let is_current = session.token == presented;
        let is_due = self.rotates && self.now - session.token_since() >= ROTATE_EVERY;
        if is_current && is_due {
            let token = self.issue(id);
            self.sessions[id].exchanged = Some((presented, self.now));
            self.sessions[id].token = token;
        }
        if is_renewed || is_due || !is_current { self.cookie_of(id) } else { Cookie::Kept }
    }

    fn renew_if_idle(&mut self, id: usize) -> bool {
        let is_idle = self.now >= self.sessions[id].active;
        if is_idle {
            self.sessions[id].begin_periods(self.now);
        }
        is_idle
    }

    /// Replaces the token of a session, and uses it.
    fn replace_token(&mut self, id: usize) -> Cookie {
        self.sessions[id].token = self.issue(id);
        self.sessions[id].exchanged = None;
        self.renew_if_idle(id);
        self.cookie_of(id)
    }

    fn issue(&mut self, session: usize) -> usize {
        self.tokens.push(session);
        self.tokens.len() - 1
    }

    fn cookie_of(&self, id: usize) -> Cookie {
        let session = &self.sessions[id];
        let is_remembered = session.stay != Stay::UntilTheBrowserCloses;
        let max_age = is_remembered.then_some((session.idle - self.now) / 1_000);
        Cookie::Set { token: session.token, max_age }
    }

    fn log_in(&mut self, user: i64, stay: Stay, opened: Opened) -> Cookie {
        // Who logs in again as the same user keeps what they have written.
        let before = opened.map(|(id, _)| &self.sessions[id]);
        let written =
            before.filter(|before| before.user == user).map(|before| before.written.clone());
        if let Some((id, _)) = opened {
            self.end(|session, _| session == id);
        }
        let (id, now) = (self.sessions.len(), self.now);
        let token = self.issue(id);
        let life = if stay == Stay::Shortly { HOUR } else { 6 * HOUR };
        let mut session = Session {
            user,
            is_kept: true,
            token,
            exchanged: None,
            stay,
            created: now,
            proved: now,
            renewed: now,
            active: now,
            idle: now,
            absolute: now + life,
            written: written.unwrap_or_default(),
        };
        session.begin_periods(now);
        self.sessions.push(session);
        let surplus: Vec<_> = self.open_sessions(user).into_iter().skip(MAX_SESSIONS).collect();
        self.end(|session, _| surplus.contains(&session));
        let cookie = self.cookie_of(id);
        // Which of two logins in one millisecond is the older one is undefined.
        self.now += 1;
        cookie
    }

    fn end_one(
        &mut self,
        carried: Carried,
        opened: Opened,
        token: Option<usize>,
    ) -> (u16, String, Cookie) {
        let Some((own, _)) = opened else { return not_logged_in() };
        let wanted = token.map(|token| self.tokens[token]);
        let Some(wanted) =
            wanted.filter(|wanted| self.open_sessions(self.sessions[own].user).contains(wanted))
        else {
            return (404, String::new(), self.used(opened));
        };
        self.end(|session, _| session == wanted);
        let cookie = if wanted == own { removed(carried) } else { self.used(opened) };
        (204, String::new(), cookie)
    }

    fn end_all_of(&mut self, user: i64, but: Option<usize>) -> u64 {
        self.end(|id, session| session.user == user && Some(id) != but)
    }

    /// Says how many were stored.
    fn end(&mut self, ends: impl Fn(usize, &Session) -> bool) -> u64 {
        let mut ended = 0;
        for (id, session) in self.sessions.iter_mut().enumerate() {
            if session.is_kept && ends(id, session) {
                session.is_kept = false;
                ended += 1;
            }
        }
        ended
    }

    /// The open sessions of a user, newest first.
    fn open_sessions(&self, user: i64) -> Vec<usize> {
        let all = self.sessions.iter().enumerate().rev();
        all.filter(|(_, session)| session.user == user && session.lives(self.now))
            .map(|(id, _)| id)
            .collect()
    }

    /// The list that a user sees.
    fn list_for(&self, opened: Opened) -> String {
        let Some((own, _)) = opened else { return "[]".into() };
        let mark = |id| (id, id == own);
        let marked: Vec<_> =
            self.open_sessions(self.sessions[own].user).into_iter().map(mark).collect();
        format!("{marked:?}")
    }

    pub fn listed(&self, user: i64) -> Vec<Listed> {
        let listed = |id| {
            let session: &Session = &self.sessions[id];
            Listed {
                session: id,
                created: session.created,
                proved: session.proved,
                renewed: session.renewed,
                active: session.active,
                idle: session.idle,
                absolute: session.absolute,
                is_idle: self.now >= session.active,
                is_remembered: session.stay != Stay::UntilTheBrowserCloses,
            }
        };
        self.open_sessions(user).into_iter().map(listed).collect()
    }

    /// How many sessions are stored, whether they live or not.
    pub fn rows(&self) -> usize {
        self.sessions.iter().filter(|session| session.is_kept).count()
    }
}

const NOT_LOGGED_IN: &str = "Not logged in";

fn not_logged_in() -> (u16, String, Cookie) {
    (401, NOT_LOGGED_IN.into(), Cookie::Kept)
}

/// Logging out takes the cookie away, if there is one.
fn removed(carried: Carried) -> Cookie {
    if carried == Carried::Nothing { Cookie::Kept } else { Cookie::Removed }
}
