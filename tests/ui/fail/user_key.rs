//! A type of ids is a struct around one id.
use locals::UserKey;

#[derive(Clone, UserKey)]
struct OfAnotherType(f64);

#[derive(Clone, UserKey)]
struct Two(i64, i64);

#[derive(Clone, UserKey)]
struct Unit;

#[derive(Clone, UserKey)]
enum Either {
    One(i64),
    Other(String),
}

#[derive(Clone, UserKey)]
struct Generic<T>(T);

#[derive(UserKey)]
struct NotCloned(i64);

fn main() {}
