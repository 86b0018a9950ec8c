// kysely over @libsql/kysely-libsql (@libsql/client 0.8), unchanged: a shop at one datacenter, checked at another.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { LibsqlDialect } from '@libsql/kysely-libsql'
import { Kysely, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/sqlite'
import { Migrator } from 'kysely/migration'
import { startGateways, until, ways } from './gateways.mjs'

const first = {
  async up(db) {
    await db.schema
      .createTable('customers')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('email', 'text', (c) => c.notNull().unique())
      .addColumn('points', 'integer', (c) => c.notNull().defaultTo(0))
      .addColumn('rate', 'real')
      .addColumn('photo', 'blob')
      .addColumn('joined', 'text', (c) => c.notNull().defaultTo(sql`CURRENT_TIMESTAMP`))
      .execute()
    await db.schema
      .createTable('orders')
      .ifNotExists()
      .addColumn('customer', 'text', (c) => c.notNull().references('customers.id').onDelete('cascade'))
      .addColumn('number', 'integer', (c) => c.notNull())
      .addColumn('item', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('orders_key', ['customer', 'number'])
      .execute()
  },
}
const second = {
  async up(db) {
    await db.schema.createIndex('orders_item').on('orders').column('item').execute()
  },
}
const third = {
  async up(db) {
    await db.schema.alterTable('customers').addColumn('city', 'text').execute()
  },
  async down(db) {
    await db.schema.alterTable('customers').dropColumn('city').execute()
  },
}

for (const { scheme, home, away } of ways) {
  describe(`${scheme} at ${home}`, () => {
    let gateways, here, there

    const open = (dc) => new Kysely({ dialect: new LibsqlDialect({ url: gateways.url(dc, scheme) }) })
    const migrator = (migrations) =>
      new Migrator({ db: here, provider: { getMigrations: async () => migrations } })
    const migrateUp = async (migrations) => {
      const { error, results } = await migrator(migrations).migrateToLatest()
      if (error) throw error
      return results.map((r) => `${r.migrationName} ${r.status}`)
    }

    before(async () => {
      gateways = await startGateways()
      here = open(home)
      there = open(away)
      assert.deepEqual(await migrateUp({ '1_first': first }), ['1_first Success'])
      await until(() => there.selectFrom('orders').select('item').execute(), 'the schema there')
    })

    after(async () => {
      await here.destroy()
      await there.destroy()
      await gateways.stop()
    })

    const add = (id, more = {}) => here.insertInto('customers').values({ id, email: `${id}@example.com`, ...more })
    const customer = (db, id) => db.selectFrom('customers').selectAll().where('id', '=', id).executeTakeFirst()
    const customerThere = (id) => until(() => customer(there, id), `${id} there`)
    const ordersOf = (db, id) =>
      db.selectFrom('orders').select(['number', 'item']).where('customer', '=', id).orderBy('number').execute()

    test('migrations run once, in their order, and the schema can be looked at', async () => {
      assert.deepEqual(await migrateUp({ '1_first': first, '2_second': second }), ['2_second Success'])
      assert.deepEqual(await migrateUp({ '1_first': first, '2_second': second }), [])
      const tables = await here.introspection.getTables()
      const orders = tables.find((table) => table.name === 'orders')
      const columns = orders.columns.map((c) => `${c.name} ${c.dataType.toLowerCase()}`)
      assert.deepEqual(columns, ['customer text', 'number integer', 'item text'])
      await until(async () => {
        const index = sql`SELECT name FROM pragma_index_list('orders') WHERE name = 'orders_item'`
        return (await index.execute(there)).rows.length === 1
      }, 'the index there')
    })

    test('values of every type, defaults and RETURNING', async () => {
      const photo = new Uint8Array([0, 1, 2, 255])
      const ada = { id: 'ada', email: 'ü 日本 😀', points: 9007199254740991n, rate: 0.1, photo }
      const plain = (row) => ({ ...row, points: BigInt(row.points), photo: new Uint8Array(row.photo) })
      const [written] = await here.insertInto('customers').values(ada).returningAll().execute()
      assert.match(written.joined, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
      assert.deepEqual(plain(written), { ...ada, joined: written.joined })
      assert.deepEqual(plain(await customerThere('ada')), plain(written))
      const twin = add('twin', { email: 'ü 日本 😀' }).execute()
      await assert.rejects(twin, (error) => error.code === 'SQLITE_CONSTRAINT')
    })

    test('joins, aggregates, subqueries as JSON and WITH', async () => {
      const { numInsertedOrUpdatedRows } = await add('bo').executeTakeFirst()
      assert.equal(numInsertedOrUpdatedRows, 1n)
      const written = await here
        .insertInto('orders')
        .values([1, 2, 3].map((number) => ({ customer: 'bo', number, item: `item ${number}` })))
        .executeTakeFirst()
      assert.equal(written.numInsertedOrUpdatedRows, 3n)
      await until(async () => (await ordersOf(there, 'bo')).length === 3, 'the orders there')
      const joined = await there
        .selectFrom('customers as c')
        .innerJoin('orders as o', 'o.customer', 'c.id')
        .select((eb) => ['c.email', eb.fn.countAll().as('orders'), eb.fn.max('o.item').as('last')])
        .where('c.id', '=', 'bo')
        .groupBy('c.id')
        .execute()
      assert.deepEqual(joined.map((row) => ({ ...row })), [{ email: 'bo@example.com', orders: 3, last: 'item 3' }])
      const nested = await there
        .with('late', (db) => db.selectFrom('orders').selectAll().where('number', '>', 1))
        .selectFrom('customers')
        .select((eb) =>
          jsonArrayFrom(
            eb.selectFrom('late').select(['number', 'item']).whereRef('customer', '=', 'customers.id').orderBy('number'),
          ).as('late'),
        )
        .where('id', '=', 'bo')
        .executeTakeFirstOrThrow()
      assert.deepEqual(JSON.parse(nested.late), [{ number: 2, item: 'item 2' }, { number: 3, item: 'item 3' }])
    })

    test('an upsert, an update and a delete tell what they did', async () => {
      const earn = (points) =>
        add('up', { points })
          .onConflict((c) =>
            c.column('id').doUpdateSet((eb) => ({ points: eb('customers.points', '+', eb.ref('excluded.points')) })),
          )
          .returning('points')
          .executeTakeFirst()
      assert.equal((await earn(2)).points, 2)
      assert.equal((await earn(40)).points, 42)
      const rate = (id, rate) => here.updateTable('customers').set({ rate }).where('id', '=', id).executeTakeFirst()
      assert.equal((await rate('up', 2.5)).numUpdatedRows, 1n)
      assert.equal((await rate('nobody', 2.5)).numUpdatedRows, 0n)
      await until(async () => {
        const up = await customer(there, 'up')
        return up?.points === 42 && up.rate === 2.5
      }, 'the update there')
      const deleted = await here.deleteFrom('customers').where('id', '=', 'up').executeTakeFirst()
      assert.equal(deleted.numDeletedRows, 1n)
      await until(async () => !(await customer(there, 'up')), 'the delete there')
    })

    test('a transaction reads its own writes and commits whole', async () => {
      const item = await here.transaction().execute(async (trx) => {
        await trx.insertInto('customers').values({ id: 'tx', email: 'tx@example.com' }).execute()
        await trx.insertInto('orders').values({ customer: 'tx', number: 1, item: 'lamp' }).execute()
        return (await ordersOf(trx, 'tx'))[0].item
      })
      assert.equal(item, 'lamp')
      await customerThere('tx')
      assert.equal((await ordersOf(there, 'tx')).length, 1)
    })

    test('a transaction that throws leaves nothing and lets others write at once', async () => {
      const failing = here.transaction().execute(async (trx) => {
        await trx.insertInto('customers').values({ id: 'never', email: 'never@example.com' }).execute()
        await trx.insertInto('orders').values({ customer: 'nobody', number: 1, item: 'x' }).execute()
      })
      await assert.rejects(failing, (error) => error.code === 'SQLITE_CONSTRAINT')
      await add('next').execute()
      assert.equal(await customer(here, 'never'), undefined)
    })

    test('writes at both sites meet, and both sites show the same', async () => {
      await add('both').execute()
      await customerThere('both')
      const order = (db, number, item) => db.insertInto('orders').values({ customer: 'both', number, item }).execute()
      const update = (db, set) => db.updateTable('customers').set(set).where('id', '=', 'both').execute()
      await Promise.all([
        ...[1, 2, 3, 4, 5].map((n) => order(here, n, 'here')),
        ...[6, 7, 8, 9].map((n) => order(there, n, 'there')),
        update(here, { points: 7 }),
        there.transaction().execute((trx) => update(trx, { rate: 0.5 })),
      ])
      const show = async (db) => ({ ...(await customer(db, 'both')), orders: await ordersOf(db, 'both') })
      await until(async () => {
        const both = await Promise.all([show(here), show(there)])
        return both.every((c) => c.orders.length === 9 && c.points === 7 && c.rate === 0.5)
      }, 'all writes at both sites')
      assert.deepEqual(await show(here), await show(there))
    })

    test('a later migration adds a column at both sites, and is taken back', async () => {
      const migrations = { '1_first': first, '2_second': second, '3_third': third }
      assert.deepEqual((await migrateUp(migrations)).at(-1), '3_third Success')
      await add('cy', { city: 'Kyōto' }).execute()
      await until(async () => (await customer(there, 'cy'))?.city === 'Kyōto', 'the new column there')
      const { error } = await migrator(migrations).migrateDown()
      assert.ifError(error)
      await until(async () => !('city' in (await customer(there, 'cy'))), 'the old schema there')
    })
  })
}
