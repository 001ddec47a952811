/* Cuts a filesystem off from its disk: what wasn't written by then never will be, as when the power goes. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH of Linux's fs/ext4/ext4.h. */
#define SHUTDOWN _IOR('X', 125, uint32_t)

int main(int count, char **arguments) {
    uint32_t without_flush = 2;
    int folder = count == 2 ? open(arguments[1], O_RDONLY) : -1;
    if (folder < 0 || ioctl(folder, SHUTDOWN, &without_flush) != 0) {
        perror("the filesystem can't be cut off");
        return 1;
    }
    return 0;
}
