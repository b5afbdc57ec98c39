//! What the compiler says of misuse, and that right use compiles.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test --test ui`, and read the diff.

#[test]
fn misuse_does_not_compile_and_the_message_says_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn every_right_combination_compiles() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
