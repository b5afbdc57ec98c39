//! An app on its way from actix-session and actix-identity to locals: whoever is logged in stays so.
//! `docs/moving.md` explains it step by step, and the tests show it.

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

/// A user. The column `is_moved` says that their old sessions count no more.
#[derive(Debug, Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts", session = Cart)]
pub struct Account {
    id: i64,
    email: String,
}

/// What the old sessions hold besides the user, under the key `cart`.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Cart {
    items: Vec<u32>,
}

/// The app for as long as old cookies may live.
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

/// Gives whoever has an old session one of ours.
async fn exchange(request: &HttpRequest, locals: &Locals) -> actix_web::Result<()> {
    let Ok(old) = request.get_identity() else { return Ok(()) };
    if locals.get_session().await?.is_some() {
        old.logout(); // the browser has the new cookie: the old session has done its work
    } else if let Some(account) = account_of(&old, request).await? {
        // Of this browser session, as it was; and long ago: what asks for a recent login asks again.
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

/// The user of an old session, if there is one whose old sessions count.
async fn account_of(old: &Identity, request: &HttpRequest) -> actix_web::Result<Option<Account>> {
    let Some(id) = old.id().ok().and_then(|id| id.parse::<i64>().ok()) else { return Ok(None) };
    let find = sqlx::query_as("SELECT * FROM accounts WHERE id = ? AND NOT is_moved").bind(id);
    let found = find.fetch_optional(database(request)).await;
    Ok(found.map_err(locals::Error::from)?)
}

/// The app's own database.
fn database(request: &HttpRequest) -> &SqlitePool {
    request.app_data::<web::Data<SqlitePool>>().expect("`app` gives it")
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
    let forget_old = sqlx::query("UPDATE accounts SET is_moved = TRUE WHERE id = ?").bind(user.id);
    forget_old.execute(&**database).await.map_err(locals::Error::from)?;
    locals.log_out_everywhere().await?;
    if let Some(old) = old {
        old.logout();
    }
    Ok(web::Redirect::to("/").see_other())
}
