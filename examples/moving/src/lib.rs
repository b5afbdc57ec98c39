//! An app that migrates from actix-session and actix-identity to `locals` without logging anybody out.
//! `docs/moving.md` explains it step by step.

use actix_identity::{Identity, IdentityExt, IdentityMiddleware};
use actix_session::{SessionExt, SessionMiddleware, storage::SessionStore};
use actix_web::{
    App, Error, HttpRequest, Responder,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    get, post, web,
};
use locals::{
    Auth, AuthUser, Locals, LogInOptions, Session, Timestamp, User, require_user, with_session,
};
use sqlx::SqlitePool;

/// A user. If the column `is_moved` is true, their old sessions are not valid anymore.
#[derive(Debug, Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts", session = Cart)]
pub struct Account {
    id: i64,
    email: String,
}

/// The data in the old sessions, under the key `cart`.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Cart {
    items: Vec<u32>,
}

/// The app while old cookies may still be valid.
pub fn app<S: SessionStore + 'static>(
    auth: &Auth<Account>,
    database: &SqlitePool,
    old: SessionMiddleware<S>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<S>>,
        Error = Error,
        InitError = (),
    > + use<S>,
> {
    App::new()
        .configure(auth.configure())
        .app_data(web::Data::new(database.clone()))
        .service((me, add, logout, logout_everywhere))
        .wrap(auth.before_request(exchange))
        .wrap(IdentityMiddleware::default())
        .wrap(old)
}

/// Replaces an old session with one of `locals`.
async fn exchange(request: &HttpRequest, locals: &Locals) -> actix_web::Result<()> {
    let Ok(old) = request.get_identity() else { return Ok(()) };
    if locals.get_session().await?.is_some() {
        old.logout(); // the browser has the new cookie, so the old session is not needed
    } else if let Some(account) = account_of(&old, request).await? {
        // As before, it lasts until the browser is closed. It does not count as a recent login.
        let long_ago = Timestamp::from_millis(0);
        let options = LogInOptions::new().remember(false).authenticated_at(long_ago);
        locals.log_in_with(&account, options).await?;
        if let Ok(Some(items)) = request.get_session().get("cart") {
            locals.update_session(|cart: &mut Cart| cart.items.clone_from(&items)).await?;
        }
    } else {
        old.logout();
    }
    Ok(())
}

/// Returns the user of an old session, unless the old sessions of this user have been ended.
async fn account_of(old: &Identity, request: &HttpRequest) -> actix_web::Result<Option<Account>> {
    let Some(id) = old.id().ok().and_then(|id| id.parse::<i64>().ok()) else { return Ok(None) };
    let find = sqlx::query_as("SELECT * FROM accounts WHERE id = ? AND NOT is_moved").bind(id);
    let found = find.fetch_optional(database(request)).await;
    Ok(found.map_err(locals::Error::from)?)
}

/// The database of the app.
fn database(request: &HttpRequest) -> &SqlitePool {
    request.app_data::<web::Data<SqlitePool>>().expect("`app` adds it")
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, session: Session) -> String {
    format!("{} {:?}", user.email, session.data::<Cart>().items)
}

#[post("/add/{item}")]
#[require_user]
async fn add(item: web::Path<u32>, locals: Locals) -> Result<&'static str, locals::Error> {
    locals.update_session(|cart: &mut Cart| cart.items.push(*item)).await?;
    Ok("Added")
}

#[post("/logout")]
#[with_session]
async fn logout(old: Option<Identity>, locals: Locals) -> Result<impl Responder, locals::Error> {
    locals.log_out().await?;
    if let Some(old) = old {
        old.logout();
    }
    Ok(web::Redirect::to("/").see_other())
}

#[post("/logout-everywhere")]
#[require_user]
async fn logout_everywhere(
    user: User<Account>,
    database: web::Data<SqlitePool>,
    old: Option<Identity>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let update = sqlx::query("UPDATE accounts SET is_moved = TRUE WHERE id = ?").bind(user.id);
    update.execute(&**database).await.map_err(locals::Error::from)?;
    locals.log_out_everywhere().await?;
    if let Some(old) = old {
        old.logout();
    }
    Ok(web::Redirect::to("/").see_other())
}
