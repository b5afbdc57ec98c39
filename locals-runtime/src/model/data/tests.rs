use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{json, repair::*, typed::*};
use crate::model::error::Error;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
    currency: String,
}

impl Default for Cart {
    fn default() -> Self {
        Self { items: Vec::new(), currency: "EUR".to_owned() }
    }
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
enum Step {
    #[default]
    Start,
    Address {
        street: String,
        zip: u32,
    },
    Paid(u32),
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Order {
    step: Step,
    note: String,
    #[serde(default, alias = "amount")]
    total: u32,
    parts: Parts,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Parts {
    first: u32,
    second: Option<Box<Parts>>,
    by_name: BTreeMap<String, Step>,
    list: Vec<Step>,
    pair: (u32, Step),
}

/// Returns the JSON after a change.
fn after<D: Serialize + DeserializeOwned + Default>(
    json: &str,
    mut change: impl FnMut(&mut D),
) -> String {
    changed(Some(json), &mut |data: &mut D| change(data), MAX_BYTES).unwrap().0
}

/// Whether a change is refused because the data would not read back unchanged.
fn is_refused<D: Serialize + DeserializeOwned + Default>(
    json: Option<&str>,
    mut change: impl FnMut(&mut D),
) -> bool {
    let changed = changed(json, &mut |data: &mut D| change(data), MAX_BYTES);
    matches!(changed, Err(Error::UnwritableData(_)))
}

/// Returns the parts that could not be read, as they are shown in a log.
fn unreadable<D: Serialize + DeserializeOwned + Default>(json: &str) -> Vec<String> {
    let stored = Reading::<D>::of(json).stored.unwrap();
    let all = stored.kept.iter().chain(&stored.refused).chain(&stored.missing);
    all.map(|path| json::Shown(path).to_string()).collect()
}

#[test]
fn fields_missing_from_older_data_have_their_defaults() {
    assert_eq!(read::<Cart>(None), Cart::default());
    let cart: Cart = read(Some(r#"{"items":[1]}"#));
    assert_eq!(cart, Cart { items: vec![1], ..Cart::default() });
}

#[test]
fn additional_fields_of_newer_data_are_kept() {
    let json = r#"{"items":[1],"voucher":"X"}"#;
    let (written, count) = changed(
        Some(json),
        &mut |cart: &mut Cart| {
            cart.items.push(2);
            cart.items.len()
        },
        MAX_BYTES,
    )
    .unwrap();
    assert_eq!(count, 2);
    assert_eq!(written, r#"{"items":[1,2],"voucher":"X"}"#);
    let json = r#"{"items":[],"currency":"EUR","a":{"b":[null]}}"#;
    let written = after(json, |cart: &mut Cart| cart.currency = "USD".into());
    assert_eq!(written, r#"{"a":{"b":[null]},"currency":"USD","items":[]}"#);
}

#[test]
fn unknown_fields_stay_in_nested_parts_too() {
    let json = r#"{"step":{"Address":{"street":"A","zip":1,"floor":3}},"note":"","total":1,
        "parts":{"first":1,"second":null,"by_name":{},"list":[],"pair":[1,"Start"],"third":7}}"#;
    let written = after(json, |order: &mut Order| {
        order.parts.first = 2;
        order.step = Step::Address { street: "B".into(), zip: 1 };
    });
    let json: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(json["parts"]["third"], 7);
    assert_eq!(json["parts"]["first"], 2);
    assert_eq!(json["step"]["Address"]["floor"], 3);
    assert_eq!(json["step"]["Address"]["street"], "B");
    let written = after(&written, |order: &mut Order| order.step = Step::Paid(1));
    let json: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(json["step"], serde_json::json!({"Paid": 1}), "another variant is another value");
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "mail")]
    email: Option<String>,
}

#[test]
fn removed_values_do_not_come_back() {
    let left = after(r#"{"email":"a@b","new":1}"#, |form: &mut Form| form.email = None);
    assert_eq!(left, r#"{"new":1}"#);
    let left = after(r#"{"a":1,"b":2}"#, |map: &mut BTreeMap<String, u32>| {
        map.remove("a");
    });
    assert_eq!(left, r#"{"b":2}"#);
}

#[test]
fn a_removed_field_does_not_come_back_under_its_old_name() {
    #[derive(Default, Serialize, Deserialize)]
    struct OneTime {
        #[serde(alias = "otp", alias = "pin")]
        code: Option<String>,
        inner: Inner,
    }
    #[derive(Default, Serialize, Deserialize)]
    struct Inner {
        #[serde(alias = "otp")]
        code: Option<String>,
        #[serde(default, skip_serializing_if = "String::is_empty", alias = "old")]
        text: String,
    }
    for name in ["code", "otp", "pin"] {
        let mut json = format!(r#"{{"{name}":"123","inner":{{"otp":"4","old":"t","b":1}},"a":1}}"#);
        let mut taken = Vec::new();
        for _ in 0..3 {
            json = after(&json, |data: &mut OneTime| {
                taken.push((data.code.take(), data.inner.code.take()));
            });
        }
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(taken, [(some("123"), some("4")), (None, None), (None, None)], "{name}");
        assert_eq!(json, r#"{"a":1,"code":null,"inner":{"b":1,"code":null,"old":"t"}}"#);
        let json = after(&json, |data: &mut OneTime| data.inner.text.clear());
        assert_eq!(json, r#"{"a":1,"code":null,"inner":{"b":1,"code":null}}"#);
    }
    for json in [r#"{"mail":"a@b"}"#, r#"{"mail":7}"#, r#"{"mail":"a@b","email":null}"#] {
        let left = after(json, |form: &mut Form| form.email = Some("c@d".into()));
        assert_eq!(left, r#"{"email":"c@d"}"#, "{json}");
        let left = after(&left, |form: &mut Form| form.email = None);
        assert_eq!(left, "{}", "{json}");
    }
}

#[test]
fn a_field_keeps_its_old_name_until_it_is_changed() {
    let json = r#"{"amount":5,"note":"","parts":{},"step":"Start"}"#;
    let written = after(json, |order: &mut Order| order.note.push('a'));
    assert_eq!(written, r#"{"amount":5,"note":"a","parts":{},"step":"Start"}"#);
    let written = after(&written, |order: &mut Order| order.total += 1);
    assert_eq!(written, r#"{"note":"a","parts":{},"step":"Start","total":6}"#);
}

#[test]
fn fields_skipped_when_written_read_back_unchanged() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        newsletter: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        theme: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tags: Vec<u32>,
        #[serde(skip)]
        seen: u32,
    }
    impl Default for Settings {
        fn default() -> Self {
            Self { newsletter: true, theme: Some("dark".into()), tags: vec![1], seen: 7 }
        }
    }
    /// Without a default of its own, the field cannot be skipped.
    #[derive(Serialize, Deserialize)]
    struct Unwritable {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        newsletter: bool,
    }
    impl Default for Unwritable {
        fn default() -> Self {
            Self { newsletter: true }
        }
    }
    let (json, ()) = changed(
        None,
        &mut |it: &mut Settings| {
            it.newsletter = false;
            it.theme = None;
            it.tags.clear();
        },
        MAX_BYTES,
    )
    .unwrap();
    assert_eq!(json, "{}");
    let read = read::<Settings>(Some(&json));
    assert_eq!((read.newsletter, read.theme, read.tags), (false, None, vec![]));
    let json = after(&json, |it: &mut Settings| it.tags.push(2));
    assert_eq!(json, r#"{"tags":[2]}"#);
    assert_eq!(after(&json, |it: &mut Settings| it.seen += 1), json, "it is not stored");

    for json in [None, Some("{}"), Some(r#"{"newsletter":true}"#)] {
        assert!(is_refused(json, |it: &mut Unwritable| it.newsletter = false), "{json:?}");
    }
}

#[test]
fn the_fields_of_different_enum_variants_are_not_mixed() {
    macro_rules! holds {
        ($(#[$attribute:meta])* $name:ident) => {{
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            $(#[$attribute])*
            enum $name {
                Address { name: String, street: Option<String> },
                Payment { name: String, iban: String },
                Empty {},
            }
            impl Default for $name {
                fn default() -> Self {
                    Self::Address { name: "default".into(), street: Some("default".into()) }
                }
            }
            let values = [
                $name::Address { name: "a".into(), street: None },
                $name::Payment { name: "b".into(), iban: "DE".into() },
                $name::Empty {},
                $name::default(),
            ];
            for first in &values {
                let before = serde_json::to_string(first).unwrap();
                // An untagged enum may read one variant as another; that is by design.
                let first: $name = serde_json::from_str(&before).unwrap();
                assert_eq!(read::<$name>(Some(&before)), first);
                for second in &values {
                    let json = serde_json::to_string(second).unwrap();
                    let second: $name = serde_json::from_str(&json).unwrap();
                    let json = after(&before, |it: &mut $name| *it = second.clone());
                    assert_eq!(read::<$name>(Some(&json)), second, "{before} {json}");
                }
            }
        }};
    }
    holds!(External);
    holds!(
        #[serde(tag = "type")]
        Internal
    );
    holds!(
        #[serde(tag = "type", content = "with")]
        Adjacent
    );
    holds!(
        #[serde(untagged)]
        Untagged
    );
}

#[test]
fn an_unknown_variant_resets_nothing_and_is_kept_for_versions_that_know_it() {
    let parts = r#"{"first":1,"second":null,"by_name":{"a":"New","b":"Start"},"list":["New"],
        "pair":[4,{"New":1}]}"#;
    for step in [r#""New""#, r#"{"New":1}"#, r#"{"New":{"street":"A"}}"#, r#"{"Paid":"x"}"#] {
        let json = format!(r#"{{"step":{step},"note":"n","total":9,"parts":{parts}}}"#);
        let order: Order = read(Some(&json));
        assert_eq!((order.note.as_str(), order.total), ("n", 9), "{step}");
        assert_eq!((order.step, order.parts.first), (Step::Start, 1), "{step}");
        assert_eq!(order.parts.by_name, BTreeMap::from([("b".to_owned(), Step::Start)]));
        assert_eq!((order.parts.list, order.parts.pair), (vec![], (4, Step::Start)));

        let written = after(&json, |order: &mut Order| {
            order.note.push('!');
            order.parts.first += 1;
            order.parts.by_name.insert("c".into(), Step::Paid(1));
        });
        let before: Value = serde_json::from_str(&json).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(written["step"], before["step"]);
        assert_eq!(written["parts"]["list"], before["parts"]["list"]);
        assert_eq!(written["parts"]["pair"], before["parts"]["pair"]);
        assert_eq!(written["parts"]["by_name"]["a"], "New");
        assert_eq!(written["parts"]["by_name"]["c"]["Paid"], 1);
        assert_eq!((&written["note"], &written["parts"]["first"]), (&"n!".into(), &2.into()));

        let rewritten = after(&written.to_string(), |order: &mut Order| {
            order.step = Step::Paid(2);
            order.parts.list.push(Step::Paid(3));
        });
        let rewritten: Value = serde_json::from_str(&rewritten).unwrap();
        assert_eq!(rewritten["step"]["Paid"], 2, "the app has written another value");
        assert_eq!(rewritten["parts"]["list"], serde_json::json!([{"Paid": 3}]));
        assert_eq!(rewritten["parts"]["by_name"]["a"], "New");
    }
}

#[test]
fn too_many_unreadable_parts_reset_only_their_own_field() {
    let order = |count: usize| {
        let entries = (0..count).map(|number| (number.to_string(), "New".into()));
        let mut order =
            serde_json::to_value(Order { note: "n".into(), ..Order::default() }).unwrap();
        order["parts"]["by_name"] = Value::Object(entries.collect());
        order["parts"]["by_name"]["x"] = "Start".into();
        order.to_string()
    };
    for (count, read_entries) in [(250, 1), (2_000, 0)] {
        let json = order(count);
        let order: Order = read(Some(&json));
        assert_eq!((order.note.as_str(), order.parts.by_name.len()), ("n", read_entries));
        let written = after(&json, |order: &mut Order| order.note.push('n'));
        assert_eq!(written, json.replace(r#""note":"n""#, r#""note":"nn""#));
    }
}

#[test]
fn a_part_of_another_type_has_its_default_and_stays_stored() {
    let readable = serde_json::to_value(Order {
        step: Step::Address { street: "A".into(), zip: 1 },
        note: "n".into(),
        total: 3,
        parts: Parts { first: 4, second: Some(Box::default()), ..Parts::default() },
    })
    .unwrap();
    let places = [
        (vec!["step"], "step"),
        (vec!["step", "Address", "zip"], "step"),
        (vec!["note"], "note"),
        (vec!["total"], "total"),
        (vec!["parts"], "parts"),
        (vec!["parts", "first"], "parts.first"),
        (vec!["parts", "second"], "parts.second"),
        (vec!["parts", "second", "first"], "parts.second"),
        (vec!["parts", "by_name"], "parts.by_name"),
        (vec!["parts", "list"], "parts.list"),
        (vec!["parts", "pair"], "parts.pair"),
    ];
    for (place, unread) in places {
        for wrong in [r#"{"x":{}}"#, "[{}]", "true", "-1.5", "[1,2,3]"] {
            let mut json = readable.clone();
            let pointer = format!("/{}", place.join("/"));
            *json.pointer_mut(&pointer).unwrap() = serde_json::from_str(wrong).unwrap();
            if serde_json::from_value::<Order>(json.clone()).is_ok() {
                continue;
            }
            let text = json.to_string();
            let order: Order = read(Some(&text));
            let seen = serde_json::to_value(&order).unwrap();
            let default = serde_json::to_value(Order::default()).unwrap();
            let part = format!("/{}", unread.replace('.', "/"));
            let mut expected = json.clone();
            *expected.pointer_mut(&part).unwrap() = default.pointer(&part).unwrap().clone();
            assert_eq!(seen, expected, "{text}");
            let name = unreadable::<Order>(&text).join(",");
            assert!(name.starts_with(unread), "{name}: {text}");

            // Each field in turn is changed: the unreadable part stays, unless it is changed itself.
            let written: Value =
                serde_json::from_str(&after(&text, |order: &mut Order| order.note += "x")).unwrap();
            let mut expected = json.clone();
            expected["note"] = format!("{}x", order.note).into();
            assert_eq!(written, expected, "{text}");
            let written: Value = serde_json::from_str(&after(&text, |order: &mut Order| {
                order.parts.first += 1;
            }))
            .unwrap();
            assert_eq!(written["parts"]["first"], order.parts.first + 1);
            if unread != "parts" && unread != "parts.first" {
                assert_eq!(written.pointer(&pointer), json.pointer(&pointer), "{text}");
            }
        }
    }
}

#[test]
fn values_that_json_cannot_hold_are_refused_and_change_nothing() {
    #[expect(clippy::option_option, reason = "JSON cannot tell them apart")]
    #[derive(Default, Serialize, Deserialize)]
    struct Floats {
        double: f64,
        single: f32,
        optional: Option<f64>,
        list: Vec<f64>,
        pairs: Vec<(u8, Option<f32>)>,
        by_name: BTreeMap<String, f64>,
        nested: Option<Box<Floats>>,
        twice: Option<Option<u8>>,
        nothing: Option<()>,
        note: String,
    }
    let changes: [fn(&mut Floats, f64); 7] = [
        |it, float| it.double = float,
        #[allow(clippy::cast_possible_truncation)]
        |it, float| it.single = float as f32,
        |it, float| it.optional = Some(float),
        |it, float| it.list.push(float),
        #[allow(clippy::cast_possible_truncation)]
        |it, float| it.pairs.push((1, Some(float as f32))),
        |it, float| _ = it.by_name.insert("a".into(), float),
        |it, float| it.nested = Some(Box::new(Floats { double: float, ..Floats::default() })),
    ];
    for json in [None, Some(r#"{"note":"kept"}"#), Some("7")] {
        for change in changes {
            for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(is_refused(json, |it: &mut Floats| change(it, float)), "{json:?}");
            }
            assert!(!is_refused(json, |it: &mut Floats| change(it, -0.0)), "{json:?}");
        }
        assert!(is_refused(json, |it: &mut Floats| it.twice = Some(None)), "{json:?}");
        assert!(is_refused(json, |it: &mut Floats| it.nothing = Some(())), "{json:?}");
        assert!(is_refused(json, |it: &mut HashMap<(u8, u8), u8>| _ = it.insert((1, 2), 3)));
    }
    let written = after(r#"{"double":0.0}"#, |it: &mut Floats| it.double = -0.0);
    assert!(read::<Floats>(Some(&written)).double.is_sign_negative());
}

#[test]
fn values_that_would_not_read_back_unchanged_are_refused() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Computed {
        count: u32,
        #[serde(skip_deserializing)]
        twice: u32,
        #[serde(serialize_with = "rounded")]
        rounded: u32,
    }
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn rounded<S: serde::Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(value / 10 * 10)
    }
    assert!(is_refused(None, |it: &mut Computed| it.twice = 2));
    assert!(!is_refused(None, |it: &mut Computed| it.count = 2));
    assert!(!is_refused(None, |it: &mut Computed| it.rounded = 12), "it was written as 10");
}

#[test]
fn sets_and_maps_are_written_in_any_order() {
    #[derive(Default, Serialize, Deserialize)]
    struct Sets {
        hashed: HashSet<u32>,
        sorted: BTreeSet<String>,
        by_number: HashMap<u64, HashSet<i8>>,
        by_truth: BTreeMap<bool, char>,
    }
    let mut json =
        r#"{"hashed":[3,1,2],"sorted":[],"by_number":{"7":[1,2]},"by_truth":{}}"#.to_owned();
    for number in 0..50_u32 {
        json = after(&json, |it: &mut Sets| {
            it.hashed.insert(number);
            it.sorted.insert(number.to_string());
            it.by_number.entry(7).or_default().insert(3);
            it.by_number.entry(number.into()).or_default().insert(-1);
            it.by_truth.insert(true, 'x');
        });
    }
    let sets: Sets = read(Some(&json));
    assert_eq!((sets.hashed.len(), sets.sorted.len()), (50, 50));
    assert_eq!(sets.by_number[&7], HashSet::from([1, 2, 3, -1]));
    let json = r#"{"hashed":[1],"sorted":[],"by_number":{"no number":[],"7":[1]},"by_truth":{}}"#;
    assert_eq!(unreadable::<Sets>(json), ["by_number.*"], "what users have typed is not logged");
    let written = after(json, |it: &mut Sets| it.hashed.clear());
    assert_eq!(
        written,
        json.replace("[1],\"sorted", "[],\"sorted").replace(
            r#"{"hashed":[],"sorted":[],"by_number":{"no number":[],"7":[1]},"by_truth":{}}"#,
            r#"{"by_number":{"7":[1],"no number":[]},"by_truth":{},"hashed":[],"sorted":[]}"#,
        )
    );
}

#[test]
fn refused_fields_are_removed_by_the_next_write_and_reset_nothing() {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Strict {
        count: u32,
        #[serde(alias = "old")]
        new: u32,
    }
    let json = r#"{"count":1,"other":2}"#;
    assert_eq!(read::<Strict>(Some(json)), Strict { count: 1, new: 0 });
    assert_eq!(unreadable::<Strict>(json), ["other"]);
    let written = after(json, |strict: &mut Strict| strict.count += 1);
    assert_eq!(written, r#"{"count":2}"#);
    let written = after(r#"{"old":1,"x":1}"#, |strict: &mut Strict| strict.new += 1);
    assert_eq!(written, r#"{"new":2}"#);
}

#[test]
fn flattened_parts_and_renamed_fields_round_trip() {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Listing {
        page_number: u32,
        #[serde(flatten)]
        size: Size,
        #[serde(rename = "type")]
        kind: Option<Step>,
    }
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Size {
        page_width: u32,
        #[serde(alias = "height")]
        page_height: u32,
    }
    let json = r#"{"pageNumber":1,"page-width":2,"height":3,"type":null,"x":1}"#;
    let written = after(json, |page: &mut Listing| page.page_number = 2);
    assert_eq!(written, r#"{"height":3,"page-width":2,"pageNumber":2,"type":null,"x":1}"#);
    let written = after(&written, |page: &mut Listing| page.size.page_height = 4);
    assert_eq!(written, r#"{"page-height":4,"page-width":2,"pageNumber":2,"type":null,"x":1}"#);

    let json = r#"{"page-height":"high","page-width":2,"pageNumber":2,"type":"New","x":1}"#;
    let page: Listing = read(Some(json));
    assert_eq!(page, Listing { page_number: 2, ..Listing::default() });
    let written = after(json, |page: &mut Listing| page.page_number = 3);
    assert_eq!(written, json.replace(r#""pageNumber":2"#, r#""pageNumber":3"#));
    let written = after(&written, |page: &mut Listing| page.size.page_height = 4);
    let page: Listing = read(Some(&written));
    assert_eq!((page.page_number, page.size.page_height, page.size.page_width), (3, 4, 0));
    assert!(written.contains(r#""x":1"#), "{written}");
}

#[test]
fn a_change_without_effect_stores_the_same_text() {
    for json in [r#"{"items" : "none", "z":1, "a":1e2}"#, "[]", "no JSON", "", r#"{"items":[1]}"#] {
        assert_eq!(after(json, |_: &mut Cart| ()), json);
    }
}

#[test]
fn data_that_do_not_match_their_type_have_their_defaults() {
    for json in ["", "null", "7", "[]", r#"{"items":"none"}"#, "{"] {
        assert_eq!(read::<Cart>(Some(json)), Cart::default(), "{json}");
        let written = after(json, |cart: &mut Cart| cart.items.push(1));
        assert_eq!(read::<Cart>(Some(&written)).items, [1], "{json}");
    }
}

#[test]
fn data_above_the_limit_are_refused() {
    let fill = |length| {
        changed(None, &mut |text: &mut String| *text = "x".repeat(length), 100)
            .map(|(text, ())| text)
    };
    assert_eq!(fill(98).unwrap().len(), 100);
    assert!(matches!(fill(99), Err(Error::TooMuchData { most: 100 })));
}

proptest! {
    #[test]
    fn data_round_trip(items: Vec<u32>, currency: String) {
        let cart = Cart { items, currency };
        let json = serde_json::to_string(&cart).unwrap();
        prop_assert_eq!(read::<Cart>(Some(&json)), cart);
    }

    #[test]
    fn floats_round_trip(double: f64, single: f32, list: Vec<f64>) {
        let floats = (double, single, list);
        let change = &mut |data: &mut (f64, f32, Vec<f64>)| *data = floats.clone();
        let (json, ()) = changed(Some("[0.0,0.0,[]]"), change, MAX_BYTES).unwrap();
        let read: (f64, f32, Vec<f64>) = read(Some(&json));
        let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits();
        prop_assert_eq!(read.0.to_bits(), floats.0.to_bits());
        prop_assert_eq!(read.1.to_bits(), floats.1.to_bits());
        prop_assert!(read.2.len() == floats.2.len() && read.2.iter().zip(&floats.2).all(same));
    }

    #[test]
    fn any_text_can_be_read(json: String) {
        read::<Cart>(Some(&json));
        after(&json, |cart: &mut Cart| cart.items.push(1));
    }

    #[test]
    fn any_json_can_be_read_and_changed(json in any_json()) {
        let text = json.to_string();
        read::<Order>(Some(&text));
        let written = after(&text, |order: &mut Order| order.note += "x");
        prop_assert!(read::<Order>(Some(&written)).note.ends_with('x'));
    }
}

/// JSON with the field names of `Order` and arbitrary values.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "Start|New|x".prop_map(Value::from),
    ];
    let name = "step|note|total|amount|parts|first|second|by_name|list|pair|Paid|Address|zip|x";
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

thread_local! {
    static READINGS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A map that counts how often it is deserialized as a whole.
#[derive(Default, Serialize)]
struct Counted(BTreeMap<String, u32>);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<R: serde::Deserializer<'de>>(from: R) -> Result<Self, R::Error> {
        READINGS.set(READINGS.get() + 1);
        BTreeMap::deserialize(from).map(Self)
    }
}

/// Returns how often the whole data are deserialized for one change.
fn readings(json: &str, change: impl Fn(&mut BTreeMap<String, u32>)) -> usize {
    READINGS.set(0);
    after(json, |data: &mut Counted| change(&mut data.0));
    READINGS.get()
}

#[test]
fn the_number_of_reads_for_a_write_does_not_grow_with_the_changed_keys() {
    let put = |count: u32| {
        move |map: &mut BTreeMap<String, u32>| {
            map.extend((0..count).map(|key| (key.to_string(), key + 1)));
        }
    };
    let full: BTreeMap<_, u32> = (0..3_000).map(|key| (key.to_string(), 7)).collect();
    let full = serde_json::to_string(&full).unwrap();
    for json in ["{}", full.as_str()] {
        assert_eq!(readings(json, put(3_000)), readings(json, put(1)), "put");
    }
    assert_eq!(readings(&full, BTreeMap::clear), readings(&full, put(1)), "taken away");
    // Next to unreadable parts there may be an old name. The search for it is bounded.
    for bad in [1_u32, 100] {
        let bad: BTreeMap<_, _> = (0..bad).map(|key| (format!("bad {key}"), "x")).collect();
        let count = readings(&serde_json::to_string(&bad).unwrap(), put(700));
        assert!(count < 1_000, "{count} readings");
    }
}
