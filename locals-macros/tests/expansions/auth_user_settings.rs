// All settings, and those of `sqlx` that name columns.
#[derive(Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "auth.staff", sessions = "auth.staff_sessions", session = Cart)]
#[sqlx(rename_all = "camelCase")]
pub struct Employee {
    #[auth_user(id = "employee_id")]
    pub r#type: EmployeeId,
    pub full_name: String,
    #[auth_user(credential)]
    pub password_hash: String,
    #[auth_user(credential)]
    #[sqlx(rename = "2fa", default)]
    second_factor: Option<String>,
    #[sqlx(skip)]
    cached: u8,
}
