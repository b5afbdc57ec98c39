#[derive(Clone, UserKey)]
struct AccountId {
    r#type: Uuid,
}
