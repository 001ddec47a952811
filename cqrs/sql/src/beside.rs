//! A service's own tables beside its log, for what is neither an event nor an aggregate's state: short-lived secrets, say.

use cqrs_core::{Row, RowError, Sql, StoreError, Value};

use crate::log::SqlLog;

impl SqlLog {
    /// Reads rows of the service's own tables, those of its `write_schema`. `{s}` stands before each table's name.
    pub async fn rows_beside<T: Send + 'static>(
        &self,
        sql: impl Into<Sql>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let sql = self.beside(sql.into());
        self.select(&sql, params, map).await
    }

    /// Changes rows of the service's own tables, in a transaction of its own; gives how many.
    pub async fn change_beside(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<u64, StoreError> {
        let sql = self.beside(sql.into());
        self.execute(sql, params).await
    }

    fn beside(&self, sql: Sql) -> String {
        crate::dialect::resolve(self.dialect().pick(sql), |_| self.table(""))
    }
}
