#[automatically_derived]
impl ::locals::SessionData for Cart {
    type User = Employee;
}
#[automatically_derived]
impl ::locals::AuthUser for Employee {
    type Id = EmployeeId;
    const TABLE: &'static str = "auth.staff";
    const ID_COLUMN: &'static str = "employee_id";
    const SESSIONS: &'static str = "auth.staff_sessions";
    const COLUMNS: ::core::option::Option<&'static [::locals::UserColumn]> = ::core::option::Option::Some(
        &[
            ::locals::UserColumn::required("employee_id"),
            ::locals::UserColumn::optional("type"),
            ::locals::UserColumn::required("fullName"),
            ::locals::UserColumn::required("passwordHash"),
            ::locals::UserColumn::optional("2fa"),
        ],
    );
    fn id(&self) -> &Self::Id {
        &self.r#type
    }
    const CREDENTIAL: &'static [&'static str] = &["password_hash", "second_factor"];
    fn credential(&self, digest: &mut ::locals::CredentialDigest) {
        digest.field(&self.password_hash);
        digest.field(&self.second_factor);
    }
    fn row_reader(
        database: ::core::any::TypeId,
    ) -> ::core::option::Option<::std::boxed::Box<dyn ::core::any::Any>> {
        ::locals::__private::read_row!(Self, database)
    }
}
