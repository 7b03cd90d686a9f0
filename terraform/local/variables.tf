variable "lab_name" {
  description = "Name of the lab: the prefix of all that is made, and what etcdlab calls it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,29}$", var.lab_name)) && !endswith(var.lab_name, "-")
    error_message = "lab_name is 1 to 30 of a-z, 0-9 and -, begins with a letter and does not end with a dash."
  }
}

variable "members" {
  description = "How many hosts to make, one for each member: m1, m2 and so on."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.members >= 1 && var.members <= 9 && floor(var.members) == var.members
    error_message = "members is a whole number from 1 to 9."
  }
}

variable "machine_type" {
  description = "Size of a guest: processors, x, MiB of memory."
  type        = string
  default     = "1x768"
  nullable    = false

  validation {
    condition     = can(regex("^[1-8]x[0-9]{3,5}$", var.machine_type)) && try(tonumber(split("x", var.machine_type)[1]) >= 384, false)
    error_message = "machine_type is processors (1 to 8), x, and MiB of memory (384 or more), such as 1x768."
  }
}

variable "zones" {
  description = "Zones over which the hosts are spread in turn. Here they are labels only."
  type        = list(string)
  default     = ["local"]
  nullable    = false

  validation {
    condition     = length(var.zones) > 0 && length(distinct(var.zones)) == length(var.zones) && alltrue([for z in var.zones : can(regex("^[a-z0-9][a-z0-9-]{0,30}$", z))])
    error_message = "zones is a list of one or more different names of a-z, 0-9 and -."
  }
}

variable "disk_type" {
  description = "How the data disk takes its room: sparse (as it is written) or full (at once)."
  type        = string
  default     = "sparse"
  nullable    = false

  validation {
    condition     = contains(["sparse", "full"], var.disk_type)
    error_message = "disk_type is sparse or full."
  }
}

variable "disk_size_gb" {
  description = "Size of the blank data disk of each host, in GB."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.disk_size_gb >= 1 && var.disk_size_gb <= 1024 && floor(var.disk_size_gb) == var.disk_size_gb
    error_message = "disk_size_gb is a whole number from 1 to 1024."
  }
}

variable "image" {
  description = "Operating system of the guests, made on this machine from Debian's packages."
  type        = string
  default     = "debian-12"
  nullable    = false

  validation {
    condition     = contains(["debian-12"], var.image)
    error_message = "image is debian-12: the only one that this module makes."
  }
}

variable "allowed_cidrs" {
  description = "Who may reach the hosts (SSH, agent, client, failpoints). Empty, the default, is nobody. Guests of this module listen on this machine's 127.0.0.1 alone, so that no more than 127.0.0.0/8 can be allowed."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for c in var.allowed_cidrs : can(cidrnetmask(c)) && startswith(c, "127.")])
    error_message = "allowed_cidrs is a list of IPv4 networks within 127.0.0.0/8, such as 127.0.0.1/32."
  }
}

variable "ttl_minutes" {
  description = "After how many minutes a host stops by itself, counted from its start."
  type        = number
  default     = 240
  nullable    = false

  validation {
    condition     = var.ttl_minutes >= 2 && var.ttl_minutes <= 10080 && floor(var.ttl_minutes) == var.ttl_minutes
    error_message = "ttl_minutes is a whole number from 2 to 10080 (a week)."
  }
}

variable "tags" {
  description = "Labels of all hosts, in the inventory too."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for k, v in var.tags : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "tags have keys of a-z, 0-9, _ and - that begin with a letter, and values of the same, both up to 63 long."
  }

  validation {
    condition     = length(setintersection(keys(var.tags), ["zone", "etcdlab", "etcdlab-member"])) == 0
    error_message = "tags may not be called zone, etcdlab or etcdlab-member: the module sets these."
  }
}

variable "ssh_public_key" {
  description = "Public key that may log in, as a line of authorized_keys. Here null, the default, makes a key pair; the output ssh_key_file tells where it is."
  type        = string
  default     = null

  validation {
    condition     = var.ssh_public_key == null || can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\\.com) [A-Za-z0-9+/]{60,}={0,3}( [^\n]*)?$", var.ssh_public_key))
    error_message = "ssh_public_key is one line of authorized_keys: type, key in base64, and maybe a comment. A private key does not belong here."
  }
}

variable "slot" {
  description = "Which of this machine's 250 places the lab takes: it has the ports from 20000 + 40 x slot on and the network 198.18.SLOT.0/24. Null, the default, takes one by the lab's name; set it where two labs meet."
  type        = number
  default     = null

  validation {
    condition     = var.slot == null || try(var.slot >= 0 && var.slot <= 249 && floor(var.slot) == var.slot, false)
    error_message = "slot is a whole number from 0 to 249."
  }
}

variable "state_dir" {
  description = "Where the labs' disks, keys and logs lie. Null, the default, is .etcdlab in the root module's directory."
  type        = string
  default     = null

  validation {
    condition     = var.state_dir == null || can(regex("^/[^,'\"\n]*$", var.state_dir))
    error_message = "state_dir is an absolute path without commas and quotes."
  }
}
