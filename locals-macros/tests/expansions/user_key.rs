#[derive(Clone, Copy, UserKey)]
pub struct AccountId(i64);
