// SPDX-License-Identifier: GPL-2.0-only
/*
 * The objects.
 *
 *   echo 1000 > /sys/module/bulkdump_broken/parameters/objects
 *
 * makes objects with the keys 0, 10, 20 and so on, the last one with the largest
 * key, and removes all others. 0 also gives back what the dumps of held.c leaked.
 */

#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "broken.h"

DEFINE_XARRAY(objects);
DEFINE_MUTEX(objects_lock);	/* writers, pages, and the generations */

u32 generation = 1;
u32 generation_of_list = 1;
u32 generation_of_two = 1;
unsigned long changed;

/* The object that was removed last. It is there for DEAD, up to the next change. */
static struct object *dead;

enum change { ADDITION, REMOVAL, IN_PLACE };

static void rise(u32 *number)
{
	WRITE_ONCE(*number, *number % U32_MAX + 1);
}

/* Under objects_lock, before each change. */
static void change_begin(enum change change)
{
	if (dead)
		kfree(xa_erase(&objects, dead->id));
	dead = NULL;

	WRITE_ONCE(changed, jiffies);
	rise(&generation);
	if (change != IN_PLACE)
		rise(&generation_of_list);
	if (change != REMOVAL)
		rise(&generation_of_two);
	else
		generation_of_two = generation_of_two - 1 ?: U32_MAX;
}

/* Returns an object, if it is there. Under objects_lock. */
struct object *object_find(unsigned long id)
{
	return xa_get_mark(&objects, id, ALIVE) ? xa_load(&objects, id) : NULL;
}

/* Makes an object, or changes its value. Under objects_lock. */
int object_put(u32 id, u32 value)
{
	struct object *o = object_find(id);
	int err;

	change_begin(o ? IN_PLACE : ADDITION);
	if (!o) {
		o = kzalloc(sizeof(*o), GFP_KERNEL);
		if (!o)
			return -ENOMEM;
		o->id = id;
		err = xa_insert(&objects, id, o, GFP_KERNEL);
		if (err) {
			kfree(o);
			return err;
		}
		xa_set_mark(&objects, id, ALIVE);
	}
	o->value = value;
	o->events++;
	return 0;
}

/* Under objects_lock. */
int object_remove(u32 id)
{
	struct object *o = object_find(id);

	if (!o)
		return -ENOENT;
	change_begin(REMOVAL);
	xa_clear_mark(&objects, id, ALIVE);
	dead = o;
	return 0;
}

static int objects_resize(unsigned int size)
{
	unsigned long id;
	struct object *o;
	int err = 0;

	mutex_lock(&objects_lock);
	xa_for_each_marked(&objects, id, o, ALIVE)
		if (!size || id % 10 || (id / 10 >= size - 1 && id != KEY_MAX))
			object_remove(id);
	for (id = 0; !err && id + 1 < size; id++)
		err = object_put(10 * id, ~id);
	if (!err && size)
		err = object_put(KEY_MAX, 0);
	mutex_unlock(&objects_lock);
	if (!size)
		held_release();
	return err;
}

/* Both under kernel_param_lock(). */
static unsigned int objects_size;
static bool opened;

/* The parameter can be written before init and after exit, too. */
static int objects_set(const char *text, const struct kernel_param *kp)
{
	unsigned int size;
	int err = kstrtouint(text, 0, &size);

	if (!err && size > KEY_MAX / 10)
		err = -ERANGE;
	if (!err && opened)
		err = objects_resize(size);
	if (!err)
		objects_size = size;
	return err;
}

static const struct kernel_param_ops objects_ops = {
	.set = objects_set,
	.get = param_get_uint,
};

module_param_cb(objects, &objects_ops, &objects_size, 0644);
MODULE_PARM_DESC(objects, "how many objects there are");

int objects_open(void)
{
	int err;

	kernel_param_lock(THIS_MODULE);
	err = objects_resize(objects_size);
	opened = !err;
	kernel_param_unlock(THIS_MODULE);
	return err;
}

void objects_close(void)
{
	kernel_param_lock(THIS_MODULE);
	opened = false;
	objects_resize(0);
	kernel_param_unlock(THIS_MODULE);
	if (dead)
		kfree(xa_erase(&objects, dead->id));
	xa_destroy(&objects);
}
