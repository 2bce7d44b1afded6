/* SPDX-License-Identifier: MIT */
#include "store/names.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void names_init(struct names *names, uint64_t seed)
{
        *names = (struct names){ .random = seed | 1 };
}

void names_deinit(struct names *names)
{
        assert(!names->first[0] && names->n_names == 0);
}

/*
 * Three of four entries stand on the lowest level alone. xorshift64, from a seed that no client
 * knows.
 */
static uint8_t names_height(struct names *names)
{
        uint64_t bits;
        uint8_t height = 1;

        names->random ^= names->random << 13;
        names->random ^= names->random >> 7;
        names->random ^= names->random << 17;
        bits = names->random >> 16;
        while (height < NAMES_HEIGHT && (bits & 3) == 0) {
                height++;
                bits >>= 2;
        }
        return height;
}

static int name_compare(const struct name *name, uid_t uid, const char *text, size_t n_text)
{
        int r;

        if (name->user->uid != uid)
                return name->user->uid < uid ? -1 : 1;
        r = strncmp(name->text, text, n_text);
        return r ? r : name->text[n_text] != '\0';
}

/* The links that point at, or behind, the place of the name; returns what stands there. */
static struct name *names_seek(const struct names *names, uid_t uid, const char *text,
                               size_t n_text, struct name *const *links[NAMES_HEIGHT])
{
        struct name *const *level = names->first;

        for (unsigned h = NAMES_HEIGHT; h-- > 0;) {
                while (level[h] && name_compare(level[h], uid, text, n_text) < 0)
                        level = level[h]->next;
                if (links)
                        links[h] = &level[h];
        }
        return level[0];
}

struct name *names_from(const struct names *names, uid_t uid, const char *text)
{
        struct name *name = names_seek(names, uid, text, strlen(text), NULL);

        return name && name->user->uid == uid ? name : NULL;
}

struct name *names_find(const struct names *names, uid_t uid, const char *text, size_t n_text)
{
        struct name *name = names_seek(names, uid, text, n_text, NULL);

        return name && name_compare(name, uid, text, n_text) == 0 ? name : NULL;
}

struct name *names_next(const struct name *name)
{
        struct name *next = name->next[0];

        return next && next->user->uid == name->user->uid ? next : NULL;
}

int names_get(struct names *names, struct user *user, const char *text, size_t n_text,
              struct name **namep)
{
        struct name *const *links[NAMES_HEIGHT];
        struct name *name = names_seek(names, user->uid, text, n_text, links);
        size_t n_links;
        uint8_t height;
        char *copy;

        if (name && name_compare(name, user->uid, text, n_text) == 0) {
                *namep = name;
                return 0;
        }

        height = names_height(names);
        n_links = height * sizeof(name->next[0]);
        name = calloc(1, sizeof(*name) + n_links + n_text + 1);
        if (!name)
                return -ENOMEM;
        copy = (char *)name + sizeof(*name) + n_links;
        memcpy(copy, text, n_text);
        name->text = copy;
        name->height = height;
        name->user = user_ref(user);
        for (unsigned h = 0; h < height; h++) {
                name->next[h] = *links[h];
                *(struct name **)links[h] = name;
        }
        names->n_names++;
        *namep = name;
        return 0;
}

void names_settle(struct names *names, struct name *name)
{
        struct name *const *links[NAMES_HEIGHT];

        if (name->tensor || name->reservation || name->is_lost)
                return;
        assert(!name->outcome && !name->record.user);
        names_seek(names, name->user->uid, name->text, strlen(name->text), links);
        for (unsigned h = 0; h < name->height; h++) {
                assert(*links[h] == name);
                *(struct name **)links[h] = name->next[h];
        }
        names->n_names--;
        user_unref(name->user);
        free(name);
}
