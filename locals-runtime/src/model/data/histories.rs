//! Two versions of an app read and write one row in turn, as in a rolling deploy.
//!
//! For each pair of types of one field: each version reads back its own last write until the other
//! version writes another value there, and neither loses fields that only the other has.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
};

use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::typed::*;

/// The type of the field that changes.
trait Field: Serialize + DeserializeOwned + Default + Debug + Clone + PartialEq + 'static {
    fn any() -> BoxedStrategy<Self>;
}

macro_rules! fields {
    ($($type:ty: $any:expr),* $(,)?) => {$(
        impl Field for $type {
            fn any() -> BoxedStrategy<Self> {
                $any.boxed()
            }
        }
    )*};
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
enum Old {
    #[default]
    Start,
    Address {
        street: String,
    },
}

/// Adds a variant, and a field to an existing variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum New {
    Start,
    Address {
        street: String,
        #[serde(default)]
        zip: Option<u8>,
    },
    Payment(u8),
}

impl Default for New {
    fn default() -> Self {
        Self::Payment(9)
    }
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum OldTagged {
    #[default]
    Start,
    Address {
        street: String,
    },
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum NewTagged {
    #[default]
    Start,
    Address {
        street: String,
        zip: u8,
    },
    Payment {
        street: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OldPart {
    count: u8,
    dropped: String,
    step: Old,
}

impl Default for OldPart {
    fn default() -> Self {
        Self { count: 7, dropped: "by default".to_owned(), step: Old::Start }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NewPart {
    count: u8,
    added: u8,
    step: New,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    flag: bool,
}

impl Default for NewPart {
    fn default() -> Self {
        Self { count: 8, added: 1, step: New::Start, flag: true }
    }
}

fn old() -> impl Strategy<Value = Old> {
    let address = "[ab]?".prop_map(|street| Old::Address { street });
    prop_oneof![Just(Old::Start), address]
}

fn new() -> impl Strategy<Value = New> {
    let address =
        ("[ab]?", any::<Option<u8>>()).prop_map(|(street, zip)| New::Address { street, zip });
    prop_oneof![Just(New::Start), address, any::<u8>().prop_map(New::Payment)]
}

/// So few that all parts of a value together are fewer than are mended one by one.
const FEW: std::ops::Range<usize> = 0..20;

fields! {
    u8: any::<u8>(),
    i64: any::<i64>(),
    f64: any::<f64>(),
    bool: any::<bool>(),
    String: "[a-c]{0,2}",
    Option<u8>: any::<Option<u8>>(),
    Vec<u8>: prop::collection::vec(any::<u8>(), FEW),
    HashSet<u8>: prop::collection::hash_set(any::<u8>(), FEW),
    (u8, Old): (any::<u8>(), old()),
    BTreeMap<String, u8>: prop::collection::btree_map(any::<String>(), any::<u8>(), FEW),
    BTreeMap<u8, Old>: prop::collection::btree_map(any::<u8>(), old(), 0..3),
    Old: old(),
    New: new(),
    OldTagged: old().prop_map(|it| match it {
        Old::Start => OldTagged::Start,
        Old::Address { street } => OldTagged::Address { street },
    }),
    NewTagged: prop_oneof![
        Just(NewTagged::Start),
        ("[ab]?", any::<u8>()).prop_map(|(street, zip)| NewTagged::Address { street, zip }),
        any::<u8>().prop_map(|street| NewTagged::Payment { street }),
    ],
    OldPart: (any::<u8>(), "[ab]?", old())
        .prop_map(|(count, dropped, step)| OldPart { count, dropped, step }),
    NewPart: (any::<u8>(), any::<u8>(), new(), any::<bool>())
        .prop_map(|(count, added, step, flag)| NewPart { count, added, step, flag }),
    Option<OldPart>: prop::option::of(OldPart::any()),
    Vec<NewPart>: prop::collection::vec(NewPart::any(), 0..3),
}

/// The first version of the app's data.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct First<T> {
    both: u8,
    changed: T,
    dropped: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_name: Option<u8>,
    nested: Nested<T>,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Nested<T> {
    changed: T,
    both: u8,
}

/// The second version of the app's data.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Second<T> {
    both: u8,
    changed: T,
    added: u8,
    #[serde(alias = "old_name")]
    new_name: Option<u8>,
    nested: Nested<T>,
}

/// A write of one version: of all its fields, or of some of them.
#[expect(clippy::option_option, reason = "it may write `None`")]
#[derive(Debug, Clone)]
struct Write<T> {
    both: Option<u8>,
    changed: Option<T>,
    own: Option<u8>,
    name: Option<Option<u8>>,
    nested: Option<T>,
    nested_both: Option<u8>,
}

#[derive(Debug, Clone)]
enum WritePermit<A, B> {
    First(Write<A>),
    Second(Write<B>),
}

fn write<T: Field>() -> impl Strategy<Value = Write<T>> {
    let small = || prop::option::of(select(vec![0_u8, 1, 2]));
    let name = prop::option::weighted(0.3, small());
    let field = || prop::option::weighted(0.3, T::any());
    (small(), field(), small(), name, field(), small()).prop_map(
        |(both, changed, own, name, nested, nested_both)| Write {
            both,
            changed,
            own,
            name,
            nested,
            nested_both,
        },
    )
}

/// The expected content of the row for one version.
#[derive(Debug)]
struct Known<T> {
    /// The values of the two fields whose types differ; `None` once the other version has changed them.
    changed: Option<T>,
    nested: Option<T>,
    own: u8,
}

fn store<D: SessionDataLike>(row: &mut Option<String>, change: impl Fn(&mut D)) -> D {
    let mut after = None;
    let written = changed(
        row.as_deref(),
        &mut |data: &mut D| {
            change(data);
            after = Some(data.clone());
        },
        MAX_BYTES,
    );
    *row = Some(written.unwrap().0);
    let after = after.unwrap();
    assert_eq!(read::<D>(row.as_deref()), after, "it reads back unchanged: {row:?}");
    after
}

trait SessionDataLike:
    Serialize + DeserializeOwned + Default + Debug + Clone + PartialEq + 'static
{
}
impl<D: Serialize + DeserializeOwned + Default + Debug + Clone + PartialEq + 'static>
    SessionDataLike for D
{
}

/// Runs a history, and checks after each write what both versions read.
fn run<A: Field, B: Field>(history: Vec<WritePermit<A, B>>) {
    let mut row = None;
    let mut first = Known::<A> { changed: None, nested: None, own: 0 };
    let mut second = Known::<B> { changed: None, nested: None, own: 0 };
    let (mut old_name, mut new_name): (Option<u8>, Option<Option<u8>>) = (None, None);
    let mut is_written = (false, false);
    for turn in history {
        let (both, nested_both);
        match turn {
            WritePermit::First(write) => {
                let before = read::<First<A>>(row.as_deref());
                let after = store(&mut row, |data: &mut First<A>| {
                    data.both = write.both.unwrap_or(data.both);
                    data.nested.both = write.nested_both.unwrap_or(data.nested.both);
                    data.changed = write.changed.clone().unwrap_or(data.changed.clone());
                    data.nested.changed =
                        write.nested.clone().unwrap_or(data.nested.changed.clone());
                    data.dropped = write.own.map_or(data.dropped.clone(), |own| own.to_string());
                    data.old_name = write.name.unwrap_or(data.old_name);
                });
                (both, nested_both) = (after.both, after.nested.both);
                first.own = after.dropped.parse().unwrap_or(0);
                if after.old_name != before.old_name {
                    old_name = after.old_name;
                }
                if after.changed != before.changed || !is_written.0 && !is_written.1 {
                    second.changed = None;
                }
                if after.nested.changed != before.nested.changed || !is_written.0 && !is_written.1 {
                    second.nested = None;
                }
                first.changed = Some(after.changed);
                first.nested = Some(after.nested.changed);
                is_written.0 = true;
            }
            WritePermit::Second(write) => {
                let before = read::<Second<B>>(row.as_deref());
                let after = store(&mut row, |data: &mut Second<B>| {
                    data.both = write.both.unwrap_or(data.both);
                    data.nested.both = write.nested_both.unwrap_or(data.nested.both);
                    data.changed = write.changed.clone().unwrap_or(data.changed.clone());
                    data.nested.changed =
                        write.nested.clone().unwrap_or(data.nested.changed.clone());
                    data.added = write.own.unwrap_or(data.added);
                    data.new_name = write.name.unwrap_or(data.new_name);
                });
                (both, nested_both) = (after.both, after.nested.both);
                second.own = after.added;
                if after.new_name != before.new_name || row.is_none() {
                    (new_name, old_name) = (Some(after.new_name), None);
                }
                if after.changed != before.changed || !is_written.0 && !is_written.1 {
                    first.changed = None;
                }
                if after.nested.changed != before.nested.changed || !is_written.0 && !is_written.1 {
                    first.nested = None;
                }
                second.changed = Some(after.changed);
                second.nested = Some(after.nested.changed);
                is_written.1 = true;
            }
        }
        let (as_first, as_second) =
            (read::<First<A>>(row.as_deref()), read::<Second<B>>(row.as_deref()));
        assert_eq!((as_first.both, as_second.both), (both, both), "{row:?}");
        assert_eq!((as_first.nested.both, as_second.nested.both), (nested_both, nested_both));
        assert_eq!(as_first.dropped.parse().unwrap_or(0), first.own, "{row:?}");
        assert_eq!(as_second.added, second.own, "{row:?}");
        assert_eq!(as_first.old_name, old_name, "{row:?}");
        if let Some(new_name) = new_name.flatten() {
            assert_eq!(as_second.new_name, Some(new_name), "{row:?}");
        }
        let kept = [
            (first.changed.as_ref(), &as_first.changed),
            (first.nested.as_ref(), &as_first.nested.changed),
        ];
        for (kept, read) in kept {
            assert!(kept.is_none_or(|kept| kept == read), "{kept:?}: {row:?}");
        }
        let kept = [
            (second.changed.as_ref(), &as_second.changed),
            (second.nested.as_ref(), &as_second.nested.changed),
        ];
        for (kept, read) in kept {
            assert!(kept.is_none_or(|kept| kept == read), "{kept:?}: {row:?}");
        }
    }
}

fn pair<A: Field, B: Field>() {
    let turn =
        prop_oneof![write().prop_map(WritePermit::First), write().prop_map(WritePermit::Second)];
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        // Few enough unreadable parts in total to be repaired individually.
        max_default_size_range: 20,
        ..ProptestConfig::default()
    };
    let histories = prop::collection::vec(turn, 1..8);
    TestRunner::new(config)
        .run(&histories, |history| {
            run::<A, B>(history);
            Ok(())
        })
        .unwrap_or_else(|error| {
            let types = (std::any::type_name::<A>(), std::any::type_name::<B>());
            panic!("{types:?}: {error}")
        });
}

macro_rules! pairs {
    ($($name:ident: $($first:ty => $second:ty),*;)*) => {$(
        #[test]
        fn $name() {
            $(pair::<$first, $second>();)*
        }
    )*};
}

pairs! {
    a_field_of_one_type_in_both_keeps_what_each_has_written:
        u8 => u8, f64 => f64, HashSet<u8> => HashSet<u8>, OldPart => OldPart;
    a_simple_field_of_another_type_keeps_what_each_has_written:
        u8 => String, u8 => i64, i64 => u8, f64 => i64, bool => Option<u8>, String => Old,
        Option<u8> => Vec<u8>;
    a_collection_of_another_type_keeps_what_each_has_written:
        Vec<u8> => HashSet<u8>, BTreeMap<String, u8> => BTreeMap<u8, Old>, (u8, Old) => Vec<u8>,
        OldPart => BTreeMap<String, u8>, Vec<NewPart> => Option<OldPart>;
    an_enum_with_a_new_variant_keeps_what_each_has_written:
        Old => New, OldTagged => NewTagged, Old => OldTagged, New => NewPart, (u8, Old) => New;
    a_struct_whose_fields_change_keeps_what_each_has_written:
        OldPart => NewPart, NewPart => OldPart, Option<OldPart> => NewPart,
        NewTagged => OldPart;
}
