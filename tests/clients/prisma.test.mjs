// Prisma with its libSQL adapter, unchanged, against one datacenter; checked at another.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { PrismaLibSql } from '@prisma/adapter-libsql'
import { startGateways, until, ways } from './gateways.mjs'

const schema = `
generator client {
  provider = "prisma-client-js"
  output   = "./client"
}
datasource db {
  provider = "sqlite"
}
model Author {
  id    String  @id @default(uuid())
  email String  @unique
  name  String?
  books Book[]
}
model Book {
  id        String    @id
  title     String
  isbn      BigInt    @default(0)
  stock     Int       @default(0)
  meta      Json?
  cover     Bytes?
  rating    Float?
  price     Decimal?
  listed    Boolean   @default(true)
  published DateTime  @default(now())
  changed   DateTime  @updatedAt
  author    Author    @relation(fields: [authorId], references: [id], onDelete: Cascade)
  authorId  String
  tags      BookTag[]
  @@index([authorId])
}
model BookTag {
  book   Book   @relation(fields: [bookId], references: [id], onDelete: Cascade)
  bookId String
  tag    String
  @@id([bookId, tag])
}`

// What Prisma's schema engine 7.10 makes of it; the engine itself is not in the npm package.
const sql = `
CREATE TABLE "Author" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "email" TEXT NOT NULL,
    "name" TEXT
);
CREATE TABLE "Book" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "title" TEXT NOT NULL,
    "isbn" BIGINT NOT NULL DEFAULT 0,
    "stock" INTEGER NOT NULL DEFAULT 0,
    "meta" JSONB,
    "cover" BLOB,
    "rating" REAL,
    "price" DECIMAL,
    "listed" BOOLEAN NOT NULL DEFAULT true,
    "published" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "changed" DATETIME NOT NULL,
    "authorId" TEXT NOT NULL,
    CONSTRAINT "Book_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "Author" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE "BookTag" (
    "bookId" TEXT NOT NULL,
    "tag" TEXT NOT NULL,
    PRIMARY KEY ("bookId", "tag"),
    CONSTRAINT "BookTag_bookId_fkey" FOREIGN KEY ("bookId") REFERENCES "Book" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Author_email_key" ON "Author"("email");
CREATE INDEX "Book_authorId_idx" ON "Book"("authorId");`

// Beside this file: the generated client requires a package from node_modules.
const beside = import.meta.dirname
const folder = mkdtempSync(join(beside, 'prisma-'))
after(() => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, 'schema.prisma'), schema)
execFileSync(join(beside, 'node_modules/.bin/prisma'), ['generate', '--no-hints', '--schema', 'schema.prisma'], {
  cwd: folder,
  // Generating needs no engine, but the command downloads one unless some program is named.
  env: { ...process.env, CHECKPOINT_DISABLE: '1', PRISMA_SCHEMA_ENGINE_BINARY: process.execPath },
  stdio: 'pipe',
})
const { Prisma, PrismaClient } = createRequire(import.meta.url)(join(folder, 'client'))

for (const { scheme, home, away } of ways) {
  describe(`${scheme} at ${home}`, () => {
    let gateways, here, there

    before(async () => {
      gateways = await startGateways()
      const connect = (dc) => new PrismaLibSql({ url: gateways.url(dc, scheme), intMode: 'bigint' })
      const migrating = await connect(home).connect()
      await migrating.executeScript(sql)
      await migrating.dispose()
      here = new PrismaClient({ adapter: connect(home) })
      there = new PrismaClient({ adapter: connect(away) })
      await here.author.create({ data: { id: 'ann', email: 'ann@example.com', name: 'Ann' } })
      await until(() => there.author.findUnique({ where: { id: 'ann' } }), 'the schema and a row there')
    })

    after(async () => {
      await here?.$disconnect()
      await there?.$disconnect()
      await gateways.stop()
    })

    const book = (id, more) => ({ id, title: id.toUpperCase(), authorId: 'ann', ...more })
    const find = (db, id) => db.book.findUnique({ where: { id } })
    const bookThere = (id) => until(() => find(there, id), `${id} there`)

    test('every type of value arrives exactly', async () => {
      const data = book('types', {
        isbn: 9007199254740993n,
        meta: { tags: ['a', 'ü'], deep: { n: 1.5, none: null } },
        cover: new Uint8Array([0, 1, 254, 255]),
        rating: 0.1,
        price: new Prisma.Decimal('19.99'),
        listed: false,
        published: new Date('2026-01-02T03:04:05.678Z'),
      })
      const made = await here.book.create({ data })
      assert.deepEqual(await bookThere('types'), made)
      for (const [column, value] of Object.entries(data)) assert.deepEqual(made[column], value, column)
      assert.ok(Math.abs(made.changed - Date.now()) < 60_000)
    })

    test('defaults, null, and filters in JSON, text and time', async () => {
      await here.book.create({ data: book('plain', { meta: { deep: { n: 41 } } }) })
      const row = await bookThere('plain')
      assert.deepEqual([row.isbn, row.stock, row.listed, row.cover, row.price], [0n, 0, true, null, null])
      const where = {
        meta: { path: '$.deep.n', equals: 41 },
        title: { contains: 'lai' },
        published: { gt: new Date(Date.now() - 60_000) },
        listed: true,
      }
      assert.deepEqual(await there.book.findMany({ where, select: { id: true } }), [{ id: 'plain' }])
    })

    test('nested writes and relations', async () => {
      await here.author.create({
        data: {
          email: 'bob@example.com',
          books: {
            create: [
              { id: 'bob1', title: 'One', stock: 2, tags: { create: [{ tag: 'x' }, { tag: 'y' }] } },
              { id: 'bob2', title: 'Two', stock: 5 },
            ],
          },
        },
      })
      const bob = await until(
        () =>
          there.author.findUnique({
            where: { email: 'bob@example.com' },
            include: {
              books: { orderBy: { id: 'asc' }, include: { tags: true } },
              _count: { select: { books: true } },
            },
          }),
        'bob there',
      )
      assert.match(bob.id, /^[0-9a-f-]{36}$/)
      assert.deepEqual([bob.name, bob._count.books, bob.books.map((b) => b.id)], [null, 2, ['bob1', 'bob2']])
      assert.deepEqual(bob.books[0].tags.map((t) => t.tag).sort(), ['x', 'y'])
      const where = { author: { email: bob.email } }
      const [group] = await there.book.groupBy({ by: ['authorId'], where, _sum: { stock: true } })
      assert.equal(group._sum.stock, 7)
      const tagged = await there.book.findMany({ where: { ...where, tags: { some: { tag: 'y' } } } })
      assert.deepEqual(tagged.map((b) => b.id), ['bob1'])
    })

    test('createMany, updateMany, deleteMany and a cursor', async () => {
      const data = Array.from({ length: 250 }, (_, i) => book(`many${String(i).padStart(3, '0')}`))
      assert.deepEqual(await here.book.createMany({ data }), { count: 250 })
      const where = { id: { startsWith: 'many' } }
      assert.deepEqual(await here.book.updateMany({ where, data: { stock: { increment: 2 } } }), { count: 250 })
      await until(async () => (await there.book.count({ where: { ...where, stock: 2 } })) === 250, 'all there')
      const page = { where, orderBy: { id: 'asc' }, cursor: { id: 'many099' }, skip: 1, take: 2, select: { id: true } }
      assert.deepEqual(await there.book.findMany(page), [{ id: 'many100' }, { id: 'many101' }])
      assert.deepEqual(await here.book.deleteMany({ where }), { count: 250 })
      await until(async () => (await there.book.count({ where })) === 0, 'none there')
    })

    test('upsert, update, delete', async () => {
      const upsert = (stock) =>
        here.book.upsert({
          where: { id: 'up' },
          create: book('up', { stock }),
          update: { stock: { increment: stock } },
        })
      assert.equal((await upsert(2)).stock, 2)
      assert.equal((await upsert(40)).stock, 42)
      const made = await bookThere('up')
      const changed = await here.book.update({ where: { id: 'up' }, data: { title: 'New' } })
      assert.deepEqual([changed.title, changed.stock, changed.changed >= made.changed], ['New', 42, true])
      assert.equal((await here.book.delete({ where: { id: 'up' } })).title, 'New')
      await until(async () => !(await find(there, 'up')), 'gone there')
      await assert.rejects(here.book.delete({ where: { id: 'up' } }), { code: 'P2025' })
    })

    test('an array of writes is one transaction', async () => {
      const create = (id) => here.book.create({ data: book(id) })
      await here.$transaction([create('array1'), create('array2')])
      await bookThere('array1')
      await bookThere('array2')
      await assert.rejects(here.$transaction([create('array3'), create('array1')]), /UNIQUE constraint failed: Book.id/)
      assert.equal(await find(here, 'array3'), null)
    })

    test('an interactive transaction commits, and rolls back', async () => {
      await here.$transaction(async (tx) => {
        await tx.book.create({ data: book('outer') })
        await assert.rejects(tx.book.create({ data: book('outer') }), /UNIQUE constraint failed/)
        await tx.book.update({ where: { id: 'outer' }, data: { stock: { increment: 42 } } })
        assert.equal((await find(tx, 'outer')).stock, 42)
      })
      assert.equal((await bookThere('outer')).stock, 42)
      await assert.rejects(
        here.$transaction(async (tx) => {
          await tx.book.create({ data: book('undone') })
          throw new Error('mine')
        }),
        /mine/,
      )
      assert.equal(await find(here, 'undone'), null)
    })

    test('a transaction inside a transaction is undone alone', async () => {
      await here.$transaction(async (tx) => {
        await tx.book.create({ data: book('around') })
        const inner = tx.$transaction(async (nested) => {
          await nested.book.create({ data: book('inside') })
          throw new Error('inner fails')
        })
        await assert.rejects(inner, /inner fails/)
        await tx.$transaction((nested) => nested.book.create({ data: book('inside too') }))
      })
      await bookThere('around')
      const ids = await there.book.findMany({ where: { id: { startsWith: 'inside' } }, select: { id: true } })
      assert.deepEqual(ids, [{ id: 'inside too' }])
    })

    test('raw SQL', async () => {
      const id = 'raw'
      assert.equal(await here.$executeRaw`INSERT INTO Author (id, email) VALUES (${id}, ${'raw@example.com'})`, 1)
      const rows = await until(async () => {
        const found = await there.$queryRaw`SELECT id, name, length(email) AS n FROM Author WHERE id = ${id}`
        return found.length && found
      }, 'the row there')
      assert.deepEqual(rows, [{ id, name: null, n: 15n }])
    })

    test('constraints hold, and deleting an author deletes the books, at both sites', async () => {
      const twice = here.author.create({ data: { email: 'ann@example.com' } })
      await assert.rejects(twice, /UNIQUE constraint failed: Author.email/)
      const orphan = here.book.create({ data: book('x', { authorId: 'nobody' }) })
      await assert.rejects(orphan, /FOREIGN KEY constraint failed/)
      await here.author.create({ data: { id: 'eve', email: 'eve@example.com' } })
      await here.book.create({ data: book('eve1', { authorId: 'eve' }) })
      await here.bookTag.create({ data: { bookId: 'eve1', tag: 'z' } })
      await until(() => there.bookTag.findFirst({ where: { bookId: 'eve1' } }), 'the tag there')
      assert.deepEqual(await here.author.deleteMany({ where: { id: 'eve' } }), { count: 1 })
      for (const db of [here, there]) {
        await until(async () => !(await find(db, 'eve1')), 'the book gone')
        await until(async () => !(await db.bookTag.findFirst({ where: { bookId: 'eve1' } })), 'the tag gone')
      }
    })

    test('writes at both sites meet, and both sites show the same', async () => {
      await here.book.create({ data: book('both') })
      await bookThere('both')
      const write = (db, data, prefix) =>
        db.$transaction(async (tx) => {
          await tx.book.update({ where: { id: 'both' }, data })
          for (let i = 0; i < 20; ++i) await tx.book.create({ data: book(`${prefix}${i}`) })
        })
      await Promise.all([write(here, { stock: 7 }, 'meet-h'), write(there, { title: 'There' }, 'meet-t')])
      const shown = (db) =>
        db.book.findMany({
          where: { OR: [{ id: 'both' }, { id: { startsWith: 'meet-' } }] },
          orderBy: { id: 'asc' },
          include: { author: true },
        })
      const both = await until(async () => {
        const [a, b] = await Promise.all([shown(here), shown(there)])
        assert.deepEqual(a, b)
        return a.length === 41 && a
      }, 'both transactions at both sites')
      assert.deepEqual([both[0].id, both[0].stock, both[0].title], ['both', 7, 'There'])
    })
  })
}
