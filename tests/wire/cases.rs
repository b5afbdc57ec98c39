//! The `Cookie` header in every form, as bytes: shown over HTTP/1 and over HTTP/2.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use locals::Session;

/// What comes of a request for a page that needs a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It is the user's, by one read.
    User,
    /// 401, and the store is not asked, and no cookie is touched.
    Nobody,
    /// 401 for a token in its one form that nobody has issued: one read, and the cookie goes.
    Unknown,
    /// Actix itself refuses the bytes.
    Refused,
}
use Expected::{Nobody, Refused, Unknown, User};

/// Lines of a request. In capitals, what [`fill`] puts in.
pub const CASES: &[(Expected, &[u8])] = &[
    // As it should be, among others.
    (User, b"Cookie: __Host-session=TOKEN"),
    (User, b"Cookie: a=1; __Host-session=TOKEN; b=2"),
    (User, b"Cookie: a=1\r\nCookie: __Host-session=TOKEN\r\nCookie: b=2"),
    (User, b"Cookie: __Host-session-guest=junk; __Host-session=TOKEN"),
    // White space and separators: SP and HTAB are trimmed, and an empty pair is none.
    (User, b"Cookie:__Host-session=TOKEN"),
    (User, b"Cookie:  \t __Host-session=TOKEN \t "),
    (User, b"Cookie: __Host-session \t = \t TOKEN \t ; b"),
    (User, b"Cookie: a=1;__Host-session=TOKEN;b=2"),
    (User, b"Cookie: ;; ; ;__Host-session=TOKEN;;;"),
    (User, b"Cookie: =; ==; a; =a; a==b; __Host-session=TOKEN"),
    (User, b"Cookie:\r\nCookie: \r\nCookie: ;\r\nCookie: __Host-session=TOKEN"),
    (Nobody, b"Cookie:"),
    (Nobody, b"Cookie: ;;;"),
    (Nobody, b"Cookie: ="),
    (Nobody, b"Cookie: __Host -session=TOKEN"),
    (Nobody, b"Cookie: __Host-session=FRONT BACK"),
    (Nobody, b"Cookie: __Host-session=FRONT\tBACK"),
    (Nobody, b"Cookie: __Host-session=FRONT;BACK"),
    (Nobody, b"Cookie: a=1, __Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session=TOKEN, b=2"),
    (Nobody, b"Cookie: __Host-session=TOKEN,"),
    (Nobody, b"Cookie: a=1 __Host-session=TOKEN"),
    (Nobody, b"Cookie: a=1&__Host-session=TOKEN"),
    // Foreign bytes that are no text hide nothing.
    (User, b"Cookie: x=\xFF\xFE; __Host-session=TOKEN"),
    (User, b"Cookie: \xC3\x28=\x80; __Host-session=TOKEN; \xF0\x9F"),
    (User, b"Cookie: x=\xFF\r\nCookie: __Host-session=TOKEN"),
    (User, b"Cookie: \x80__Host-session=x; __Host-session=TOKEN"),
    // Old and quoted forms. A quote hides no semicolon (RFC 6265bis, section 5.6).
    (User, b"Cookie: $Version=1; __Host-session=TOKEN; $Path=/; $Domain=app.example"),
    (User, b"Cookie: a=\"; __Host-session=TOKEN; b=\""),
    (Nobody, b"Cookie: $Version=\"1\"; __Host-session=\"TOKEN\"; $Path=\"/\""),
    (Nobody, b"Cookie: a=\"; __Host-session=TOKEN\"; b=\""),
    (Nobody, b"Cookie: __Host-session=\"TOKEN\""),
    (Nobody, b"Cookie: __Host-session='TOKEN'"),
    (Nobody, b"Cookie: __Host-session=\"TOKEN"),
    (Nobody, b"Cookie: __Host-session=\\\"TOKEN\\\""),
    (Nobody, b"Cookie: \"__Host-session\"=TOKEN"),
    (Nobody, b"Cookie: \"__Host-session=TOKEN\""),
    // Names that somebody decodes.
    (Nobody, b"Cookie: __%48ost-session=TOKEN"),
    (Nobody, b"Cookie: %5F%5FHost-session=TOKEN"),
    (Nobody, b"Cookie: %5f%5fHost-session=TOKEN"),
    (Nobody, b"Cookie: __Host%2Dsession=TOKEN"),
    (Nobody, b"Cookie: __Host-session%00=TOKEN"),
    (Nobody, b"Cookie: %20__Host-session%20=TOKEN"),
    (Nobody, b"Cookie: __Host-session%3DTOKEN"),
    (Nobody, b"Cookie: +__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host\\x2dsession=TOKEN"),
    (Nobody, b"Cookie: =?utf-8?Q?__Host-session?=TOKEN"),
    // Names that somebody trims or folds: U+0085, U+00A0, U+2000, U+3000, U+FEFF, U+200B, U+FF3F.
    (Nobody, b"Cookie: \xC2\x85__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session\xC2\x85=TOKEN"),
    (Nobody, b"Cookie: \xC2\xA0__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session\xC2\xA0=TOKEN"),
    (Nobody, b"Cookie: \xE2\x80\x80__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session\xE2\x80\x80=TOKEN"),
    (Nobody, b"Cookie: \xE3\x80\x80__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session\xE3\x80\x80=TOKEN"),
    (Nobody, b"Cookie: \xEF\xBB\xBF__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session\xE2\x80\x8B=TOKEN"),
    (Nobody, b"Cookie: \xEF\xBC\xBF\xEF\xBC\xBFHost-session=TOKEN"),
    (Nobody, b"Cookie: \xA0__Host-session\xA0=TOKEN"),
    (Nobody, b"Cookie: \xC1\x9F_Host-session=TOKEN"),
    // Names that are none, or another's.
    (Nobody, b"Cookie: =TOKEN"),
    (Nobody, b"Cookie: TOKEN"),
    (Nobody, b"Cookie: __Host-session"),
    (Nobody, b"Cookie: =__Host-session=TOKEN"),
    (Nobody, b"Cookie: ==__Host-session=TOKEN"),
    (Nobody, b"Cookie: a=__Host-session=TOKEN"),
    (Nobody, b"Cookie: __host-session=TOKEN"),
    (Nobody, b"Cookie: __HOST-SESSION=TOKEN"),
    (Nobody, b"Cookie: __Host-Session=TOKEN"),
    (Nobody, b"Cookie: __Secure-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session-guest=TOKEN"),
    (Nobody, b"Cookie: session=TOKEN"),
    (Nobody, b"Cookie: x__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-sessionx=TOKEN"),
    (Nobody, b"Cookie: __Host-sessio=TOKEN"),
    (Nobody, b"Cookie: __Host_session=TOKEN"),
    (Nobody, b"Cookie: __Host.session=TOKEN"),
    (Nobody, b"Cookie: __Host-session[]=TOKEN"),
    (Nobody, b"Cookie: __Host-session:TOKEN"),
    // Values that are almost a token.
    (Nobody, b"Cookie: __Host-session="),
    (Nobody, b"Cookie: __Host-session=FRONT"),
    (Nobody, b"Cookie: __Host-session=FRONTMOST"),
    (Nobody, b"Cookie: __Host-session=TOKENA"),
    (Nobody, b"Cookie: __Host-session=ATOKEN"),
    (Nobody, b"Cookie: __Host-session=TOKENTOKEN"),
    (Nobody, b"Cookie: __Host-session=TOKEN="),
    (Nobody, b"Cookie: __Host-session=TOKEN=="),
    (Nobody, b"Cookie: __Host-session==TOKEN"),
    (Nobody, b"Cookie: __Host-session=__Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session=FRONT=BACK"),
    (Nobody, b"Cookie: __Host-session=FRONT=MOST"),
    (Nobody, b"Cookie: __Host-session=FRONT+MOST"),
    (Nobody, b"Cookie: __Host-session=FRONT/MOST"),
    (Nobody, b"Cookie: __Host-session=FRONT.MOST"),
    (Nobody, b"Cookie: __Host-session=FRONT\xFFMOST"),
    (Nobody, b"Cookie: __Host-session=FRONT%41MOST"),
    (Nobody, b"Cookie: __Host-session=TOKEN%20"),
    (Nobody, b"Cookie: __Host-session=TOKEN%3B"),
    (Nobody, b"Cookie: __Host-session=TOKEN%00"),
    (Nobody, b"Cookie: __Host-session=PERCENT"),
    (Nobody, b"Cookie: __Host-session=HEX"),
    (Nobody, b"Cookie: __Host-session=TWICE"),
    (Nobody, b"Cookie: __Host-session=s:TOKEN.signature"),
    (Nobody, b"Cookie: __Host-session=j:\"TOKEN\""),
    (Nobody, b"Cookie: __Host-session=Bearer TOKEN"),
    (Nobody, b"Cookie: __Host-session=TOKEN\xC2\xA0"),
    (Nobody, b"Cookie: __Host-session=\xE3\x80\x80TOKEN"),
    (Nobody, b"Cookie: __Host-session=' OR ''='"),
    (Nobody, b"Cookie: __Host-session=../../etc/passwd"),
    (Nobody, b"Cookie: __Host-session=${jndi:ldap://x}"),
    (Nobody, b"Cookie: __Host-session=THOUSANDS"),
    (Nobody, b"Cookie: THOUSANDS=TOKEN"),
    (Nobody, b"Cookie: THOUSANDS"),
    (User, b"Cookie: THOUSANDS=THOUSANDS; __Host-session=TOKEN; THOUSANDS"),
    // In the form of a token, but never issued.
    (
        Unknown,
        b"Cookie: __Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ),
    (Unknown, b"Cookie: __Host-session=BACKFRONT"),
    (Unknown, b"Cookie: __Host-session=LOWER"),
    // The same name several times: equal values are one, different ones are none.
    (User, b"Cookie: __Host-session=TOKEN; __Host-session=TOKEN"),
    (User, b"Cookie: __Host-session=TOKEN; a=1; __Host-session= TOKEN ;__Host-session=TOKEN"),
    (User, b"Cookie: __Host-session=TOKEN\r\nCookie: __Host-session=TOKEN"),
    (User, b"Cookie: __Host-session=TOKEN; __host-session=OTHER; __%48ost-session=OTHER"),
    (Nobody, b"Cookie: __Host-session=TOKEN; __Host-session=OTHER"),
    (Nobody, b"Cookie: __Host-session=OTHER; __Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session=TOKEN\r\nCookie: __Host-session=OTHER"),
    (Nobody, b"Cookie: __Host-session=TOKEN\r\nCookie: a=1\r\nCookie: b=2; __Host-session=OTHER"),
    (Nobody, b"Cookie: __Host-session=TOKEN; __Host-session=TOKEN; __Host-session=OTHER"),
    (Nobody, b"Cookie: __Host-session=TOKEN; __Host-session="),
    (Nobody, b"Cookie: __Host-session=; __Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session=junk\r\nCookie: __Host-session=TOKEN"),
    (Nobody, b"Cookie: __Host-session=TOKEN; __Host-session=\xFF"),
    (Nobody, b"Cookie: __Host-session=junk; __Host-session=junk"),
    // The name of the header itself, in any case and no other.
    (User, b"cookie: __Host-session=TOKEN"),
    (User, b"COOKIE: __Host-session=TOKEN"),
    (User, b"cOoKiE: a=1\r\nCookie: __Host-session=TOKEN"),
    (Nobody, b"cookie: __Host-session=TOKEN\r\nCOOKIE: __Host-session=OTHER"),
    (Nobody, b"Cookie2: __Host-session=TOKEN"),
    (Nobody, b"Cookies: __Host-session=TOKEN"),
    (Nobody, b"X-Cookie: __Host-session=TOKEN"),
    (Nobody, b"Set-Cookie: __Host-session=TOKEN"),
    (Nobody, b"__Host-session: TOKEN"),
    // Control characters, folded lines and what else is no header.
    (Refused, b"Cookie: __Host-session=TOKEN\0"),
    (Refused, b"Cookie: \0; __Host-session=TOKEN"),
    (Refused, b"Cookie: __Host-session\0=TOKEN"),
    (Refused, b"Cookie: x=\x01; __Host-session=TOKEN"),
    (Refused, b"Cookie: x=\x0B; __Host-session=TOKEN"),
    (Refused, b"Cookie: x=\x0C; __Host-session=TOKEN"),
    (Refused, b"Cookie: x=\x1B; __Host-session=TOKEN"),
    (Refused, b"Cookie: x=\x7F; __Host-session=TOKEN"),
    (Refused, b"Cookie: a=1\rX: 1; __Host-session=TOKEN"),
    (Refused, b"Cookie: a=1\n__Host-session=TOKEN"),
    (Refused, b"Cookie: a=1;\r\n __Host-session=TOKEN"),
    (Refused, b"Cookie: a=1;\r\n\t__Host-session=TOKEN"),
    (Refused, b"Cookie:\r\n __Host-session=TOKEN"),
    (Refused, b" Cookie: __Host-session=TOKEN"),
    (Refused, b"Cookie : __Host-session=TOKEN"),
    (Refused, b"Cookie\t: __Host-session=TOKEN"),
    (Refused, b"Cookie\0: __Host-session=TOKEN"),
    (Refused, b"Cook\xC3\xAFe: __Host-session=TOKEN"),
    (Refused, b": __Host-session=TOKEN"),
    (Refused, b"Cookie __Host-session=TOKEN"),
];

/// The bytes of a case: a token, and what can be made of it.
pub fn fill(case: &[u8], session: &Session, other: &Session) -> Vec<u8> {
    let token = session.token().expose_secret();
    let each = |write: fn(u8) -> String| token.bytes().map(write).collect::<String>();
    let words = [
        ("TOKEN", token.to_owned()),
        ("OTHER", other.token().expose_secret().to_owned()),
        ("FRONT", token[..32].to_owned()),
        ("BACK", token[32..].to_owned()),
        ("MOST", token[33..].to_owned()),
        ("LOWER", token.to_ascii_lowercase()),
        ("PERCENT", each(|byte| format!("%{byte:02X}"))),
        ("HEX", each(|byte| format!("{byte:02x}"))),
        ("TWICE", URL_SAFE_NO_PAD.encode(token)),
        ("THOUSANDS", "A".repeat(9_000)),
    ];
    let mut filled = Vec::new();
    let mut rest = case;
    while let [first, after @ ..] = rest {
        let word = words.iter().find(|(word, _)| rest.starts_with(word.as_bytes()));
        if let Some((word, value)) = word {
            filled.extend_from_slice(value.as_bytes());
            rest = &rest[word.len()..];
        } else {
            filled.push(*first);
            rest = after;
        }
    }
    filled
}
